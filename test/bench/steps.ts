/** What the steps of a delivery cost: a send to a socket, and a call to a linked object. */
import { WebSocket } from "ws";
import { bundle, removeFolder, startRuntime, temporaryFolder } from "../e2e/runtime.ts";

const ROUNDS = 50;
const MANY = 500;

const folder = await temporaryFolder();
const runtime = await startRuntime(await bundle(folder), folder);
const sends = await measure(() => "/root");
const calls = await measure((i) => `/home${i}`);
console.log(
  `a send to a socket: ${sends.toFixed(0)} us; a link, with what its object then does: ${calls.toFixed(0)} us`,
);
await runtime.kill();
await removeFolder(folder);
process.exit();

/** Microseconds per listener until the last of MANY has a message: the median of some rounds. */
async function measure(path: (i: number) => string): Promise<number> {
  const listeners = await Promise.all(Array.from({ length: MANY }, (_, i) => connect(path(i))));
  const [publisher] = await Promise.all([
    connect("/root"),
    ...listeners.map((socket) => ask(socket, "subscribe root\nping")),
  ]);
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const received = listeners.map(next);
    const began = performance.now();
    publisher.send(`announce root ${round}`);
    await Promise.all(received);
    times.push(((performance.now() - began) * 1000) / MANY);
  }
  for (const socket of [...listeners, publisher]) socket.terminate();
  return times.sort((a, b) => a - b)[ROUNDS >> 1] ?? Number.NaN;
}

async function connect(path: string): Promise<WebSocket> {
  const socket = new WebSocket(runtime.url + path, { perMessageDeflate: false });
  await next(socket);
  return socket;
}

function next(socket: WebSocket): Promise<void> {
  return new Promise((resolve) => socket.once("message", () => resolve()));
}

function ask(socket: WebSocket, text: string): Promise<void> {
  const answered = next(socket);
  socket.send(text);
  return answered;
}
