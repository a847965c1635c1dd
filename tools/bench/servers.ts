/** Starts the servers that are compared. */
import { spawn } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { bundle, startRuntime } from "../../test/e2e/support/runtime.ts";
import { MOSQUITTO } from "./peers/mosquitto.ts";
import { NATS } from "./peers/nats.ts";
import { NCHAN } from "./peers/nchan.ts";
import { output, type Peer, pidOf, type Server, startPeer } from "./peers/peer.ts";
import { SOCKET_IO } from "./peers/socket-io.ts";
import { FANOUT } from "./protocol.ts";

export interface Servers {
  ours: Server;
  /** Ours, without retention, so that nothing is stored. */
  unstored: Server;
  /** Ours, with 1,000 connections of one channel in 4 and in 16 objects. */
  trees: Server[];
  loop: Server;
  /** Servers of other projects, as far as they are installed. */
  peers: Server[];
  bare: Server;
}

const PEERS: Peer[] = [NATS, MOSQUITTO, NCHAN, SOCKET_IO];

/** What is compared, how it is configured, and what survives its end. */
export const CONFIGURATIONS: [name: string, configuration: string][] = [
  ["Fanout", "this project's Worker in the bare runtime: stores each message before it is sent"],
  ["unstored", "the same with `HISTORY_SECONDS = 0`: stores nothing"],
  ["loop", "an object in the same runtime that sends each message to each socket as it arrives: stores nothing"],
  ...PEERS.map(({ name, configuration }): [string, string] => [name, configuration]),
];

/** One publisher sends more than a client normally may. */
const UNLIMITED = { LINES_PER_SECOND: "1000000" };

const HERE = fileURLToPath(new URL(".", import.meta.url));

/** Starts all servers, which end with this process. */
export async function startServers(folder: string): Promise<Servers> {
  const file = await bundle(folder);
  const tree = (objects: number) => {
    const settings = { ...UNLIMITED, SOCKETS_PER_OBJECT: String(Math.ceil(1_000 / objects)) };
    return startWorker(`${objects} objects`, file, folder, settings);
  };
  const [ours, unstored, loop, bare, ...trees] = await Promise.all([
    startWorker("Fanout", file, folder, UNLIMITED),
    startWorker("unstored", file, folder, { ...UNLIMITED, HISTORY_SECONDS: "0" }),
    startWorker("loop", join(HERE, "loop-worker.js"), folder),
    startBare(),
    tree(4),
    tree(16),
  ]);
  const installed: Peer[] = [];
  for (const peer of PEERS) {
    if (await peer.version()) installed.push(peer);
    else console.error(`${peer.name} isn't installed, and is LEFT OUT: ${peer.install}`);
  }
  const peers = await Promise.all(installed.map((peer) => startPeer(peer, folder)));
  return { ours, unstored, trees, loop, peers, bare };
}

/** Returns the measured versions. */
export async function versions(): Promise<string> {
  const workerd = join(HERE, "..", "..", "node_modules", ".bin", "workerd");
  const own = (await output(workerd, "--version")).trim();
  const others = await Promise.all(PEERS.map((peer) => peer.version()));
  return [own, ...others.filter((version) => version !== undefined), `node ${process.version}`].join(", ");
}

async function startWorker(
  name: string,
  file: string,
  folder: string,
  settings: Record<string, string> = {},
): Promise<Server> {
  const own = join(folder, name);
  await mkdir(own);
  const onLine = (line: string) => console.error(`${name}: ${line}`);
  const { url, pid, kill } = await startRuntime(file, own, { onLine, settings });
  process.prependOnceListener("exit", () => void kill());
  return { name, port: Number(new URL(url).port), pid, protocol: FANOUT };
}

async function startBare(): Promise<Server> {
  const child = spawn(process.execPath, [join(HERE, "bare-server.ts")], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const pid = pidOf(child);
  for await (const port of createInterface({ input: child.stdout })) {
    return { name: "bare", port: Number(port), pid, protocol: FANOUT };
  }
  throw new Error("the bare server ended before it was listening");
}
