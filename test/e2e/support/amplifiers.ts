/**
 * Measures how much work one frame causes at an object with many subscribers: how long it takes, how much memory it needs,
 * and how long the pings of another client wait.
 */

import { startPinger } from "./pinger.ts";
import { memoryOf } from "./runtime.ts";
import { connectAll, type TestClient } from "./test-client.ts";

interface Amplifier {
  title: string;
  frame: string;
}

/** As many lines as fit into a burst, with room for those before and after. */
const LINES = 9_400;

/** Repeats lines up to a number of lines. */
function repeat(lines: string[], count = LINES): string {
  return `${lines.join("\n")}\n`.repeat(Math.floor(count / lines.length));
}

/** The frames. Their sender is connected to `c`, and subscribed to `c` and `d`. */
export const AMPLIFIERS: Amplifier[] = [
  { title: "announce, ping", frame: repeat(["announce c x", "ping"]) },
  {
    title: "announce, subscribe, unsubscribe",
    frame: repeat(["announce c x", "unsubscribe c", "subscribe c"]),
  },
  { title: "announce, unknown command", frame: repeat(["announce c x", "x"]) },
  { title: "announce 400 bytes", frame: repeat([`announce c ${"x".repeat(400)}`]) },
  { title: "announce 400 bytes, ping", frame: repeat([`announce c ${"x".repeat(400)}`, "ping"]) },
  { title: "announce on two channels", frame: repeat(["announce c x", "announce d x"], 1_000) },
  { title: "unknown command", frame: repeat(["x"]) },
  { title: "subscribe, unsubscribe", frame: repeat(["subscribe e", "unsubscribe e"], 1_000) },
  {
    title: "254 subscriptions",
    frame: repeat(["subscribe e"], 254).replaceAll(/e$/gm, () => `e${Math.random()}`),
  },
  { title: "last 1000, unsubscribe", frame: repeat(["unsubscribe c", "subscribe c last 1000"], 1_000) },
  { title: "once", frame: repeat(["once k c x"]).replaceAll("k", () => String(Math.random())) },
  { title: "info", frame: repeat(["info"], 1_000) },
  { title: "info, ping", frame: repeat(["info", "ping"], 1_000) },
  { title: "keepalive", frame: repeat(["keepalive"]) },
];

/** The end of the last frame that subscribers receive. */
const DONE = Buffer.from("c!done\n");

interface Outcome {
  /** Milliseconds until every open connection has received the message announced after the frame. */
  took: number;
  /** The longest wait of the other client's pings, in milliseconds. */
  slowest: number;
  /** Peak growth of the runtime's memory, in KiB. */
  memory: number;
  /** How the sender's connection ended; empty if it is open. */
  ending: string;
  /** Number of subscribers whose connections ended. */
  lost: number;
}

/**
 * Sends a frame to an object with subscribers, while another client pings.
 * @param runtime a server without other clients
 */
export async function amplify(
  runtime: { url: string; pid: number },
  frame: string,
  subscribers: number,
): Promise<Outcome> {
  const paths = Array.from({ length: subscribers }, () => "/c");
  const [sender, ...others] = await connectAll(runtime.url, ["/c", ...paths]);
  if (!sender) throw new Error("the sender is missing");
  await Promise.all([sender, ...others].map((client) => subscribe(client, "d")));
  const reached = others.map(untilDone);
  const stopPinging = await startPinger(`${runtime.url}/c`, ["d"]);
  const before = await memoryOf(runtime.pid);
  const watch = { isOver: false, memory: 0 };
  const watching = watchMemory(runtime.pid, watch);
  const began = performance.now();
  sender.send(frame);
  const ending = await untilAnswered(sender);
  await Promise.all(reached);
  const took = performance.now() - began;
  const slowest = await stopPinging();
  watch.isOver = true;
  await watching;
  const lost = others.filter(({ closing }) => closing).length;
  for (const client of [sender, ...others]) client.close();
  return { took, slowest, memory: watch.memory - before, ending, lost };
}

async function subscribe(client: TestClient, channel: string): Promise<void> {
  client.send(`subscribe ${channel}`);
  await client.ping();
}

/** Waits until the frame has been executed; returns how the connection ended, if it did. */
async function untilAnswered(sender: TestClient): Promise<string> {
  // The frame may contain pings, so a message shows that all of it has been executed.
  sender.send("announce c done\n");
  try {
    for (let line = ""; line !== "c!done"; ) line = await sender.line();
    return "";
  } catch (error) {
    return String(error);
  }
}

/** Resolves when a subscriber has received the last message or is closed; stores nothing of what it receives. */
function untilDone(client: TestClient): Promise<unknown> {
  client.count(() => {});
  const done = new Promise<void>((resolve) => {
    client.socket.on("message", (frame: Buffer) => {
      if (frame.subarray(-DONE.length).equals(DONE)) resolve();
    });
  });
  return Promise.race([done, client.closed]);
}

async function watchMemory(pid: number, watch: { isOver: boolean; memory: number }): Promise<void> {
  while (!watch.isOver) {
    watch.memory = Math.max(watch.memory, await memoryOf(pid));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
