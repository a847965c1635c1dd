/** Socket.IO over WebSockets. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { clientFrame } from "../websocket.ts";
import type { Peer } from "./peer.ts";

const FOLDER = new URL("../socket.io/", import.meta.url);

/** A message with an event, as opposed to Engine.IO's own packets. */
const EVENT = "42";
/** The number of the request that subscribes, and the beginning of its answer. */
const JOINED = "430";

export const SOCKET_IO: Peer = {
  name: "socket.io",
  configuration: "Socket.IO in Node over WebSockets, with rooms in one process: stores nothing",
  install: "npm ci --prefix tools/bench/socket.io",
  protocol: {
    path: () => "/socket.io/?EIO=4&transport=websocket",
    introduction(_, channels) {
      const join = `${EVENT}0${JSON.stringify(["join", channels])}`;
      return Buffer.concat([clientFrame("40"), clientFrame(join)]);
    },
    ready: new RegExp(`${JOINED}\\[\\]`),
    announcement: (channel, message) => clientFrame(EVENT + JSON.stringify(["announce", channel, message])),
    delivery: (channel, message) => Buffer.from(EVENT + JSON.stringify([channel, message])),
  },
  async version() {
    const manifest = new URL("node_modules/socket.io/package.json", FOLDER);
    const version: unknown = JSON.parse(await readFile(manifest, "utf8").catch(() => "{}")).version;
    return typeof version === "string" ? `socket.io ${version}` : undefined;
  },
  async command(port) {
    return [process.execPath, fileURLToPath(new URL("server.js", FOLDER)), String(port)];
  },
};
