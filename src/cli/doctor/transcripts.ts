/** Checks the server's replies to commands, its latency and its clock. */

import type { RawSocket } from "../raw-socket.ts";
import { check, expectLines, type Finding, note, ok } from "./findings.ts";
import { newChannel, type Target } from "./target.ts";

const REMEDY = "check that the address is this version of Fanout, or deploy it again (npm run deploy)";

/** Number of measurements. */
const MEASUREMENTS = 10;

/** Tolerated clock skew, in seconds. */
const MAX_SKEW = 5;

/** Calls `act` with a new connection to a new channel. */
export async function withSocket<T>(
  target: Target,
  act: (socket: RawSocket, channel: string) => Promise<T>,
): Promise<T> {
  const channel = newChannel();
  const socket = await target.socket(channel);
  try {
    return await act(socket, channel);
  } finally {
    socket.close();
  }
}

/** Returns a check of a new connection to a new channel. */
function socketCheck(name: string, run: (socket: RawSocket, channel: string) => Promise<Finding>, remedy = REMEDY) {
  return check(name, { remedy, needs: "sockets" }, (target) => withSocket(target, run));
}

/** Returns the server's time, which is its reply to `ping`. @throws Error if the reply is something else */
async function readTime(socket: RawSocket): Promise<number> {
  socket.send("ping");
  const line = await socket.line();
  if (/^\d{10,11}$/.test(line)) return Number(line);
  throw new Error(`ping is answered with '${line}' instead of Unix seconds`);
}

export const transcripts = [
  socketCheck("ping", async (socket) => ok(`the time is ${await readTime(socket)}`)),
  socketCheck("announce", async (socket) => {
    const channel = newChannel();
    socket.send(`subscribe ${channel}`, `announce ${channel} hello`);
    expectLines([await socket.line()], [`${channel}!hello`]);
    return ok("a subscriber receives messages");
  }),
  socketCheck("barrier", async (socket, channel) => {
    const answers = await socket.repliesTo(`subscribe ${channel}`, `announce ${channel} hello`);
    expectLines(answers, [`${channel}!hello`]);
    return ok("the reply to ping follows all earlier messages");
  }),
  socketCheck("mistake", async (socket) => {
    const answers = await socket.repliesTo("nonsense");
    if (answers.length !== 1 || !answers[0]?.startsWith("debug!error ")) expectLines(answers, ["debug!error …"]);
    return ok("an invalid command gets one debug!error");
  }),
];

/** Returns the median time of several runs, in milliseconds. */
async function median(work: () => Promise<unknown>): Promise<number> {
  const all: number[] = [];
  while (all.length < MEASUREMENTS) {
    const began = performance.now();
    await work();
    all.push(performance.now() - began);
  }
  return all.sort((a, b) => a - b)[MEASUREMENTS / 2] ?? 0;
}

async function measureLatency(socket: RawSocket, channel: string): Promise<Finding> {
  const roundTrip = await median(() => readTime(socket));
  const delivery = await median(async () => {
    socket.send(`announce ${channel} hello`);
    expectLines([await socket.line()], [`${channel}!hello`]);
  });
  return ok(`round trip ${roundTrip.toFixed(1)} ms, delivery ${delivery.toFixed(1)} ms (medians of ${MEASUREMENTS})`);
}

export const timing = [
  socketCheck("latency", measureLatency, "test from a closer network, or see the server's log (npx wrangler tail)"),
  socketCheck("clock", async (socket) => {
    const before = Date.now() / 1_000;
    const time = await readTime(socket);
    const after = Date.now() / 1_000;
    // The server reports whole seconds.
    const ahead = Math.max(0, time - after) - Math.max(0, before - (time + 1));
    const skew = `${Math.abs(ahead).toFixed(0)} s ${ahead < 0 ? "behind" : "ahead of"} this machine's`;
    if (Math.abs(ahead) > MAX_SKEW) return note(`${skew}: one of them is wrong, and tokens expire at the wrong time`);
    return ok(Math.abs(ahead) < 1 ? "the same as this machine's" : skew);
  }),
];
