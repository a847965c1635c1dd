/** Socket.IO over WebSockets. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { clientFrame } from "../websocket.ts";
import type { Peer } from "./peer.ts";

const FOLDER = new URL("../socket.io/", import.meta.url);

/** A message with an event, as opposed to Engine.IO's own packets. */
const EVENT = "42";
/** The request to connect to the default namespace, and the beginning of its answer. */
const CONNECT = "40";

export const SOCKET_IO: Peer = {
  name: "socket.io",
  configuration: "Socket.IO in Node over WebSockets, with rooms in one process: stores nothing",
  install: "npm ci --prefix tools/bench/socket.io",
  protocol: {
    path: (home) => `/socket.io/?EIO=4&transport=websocket&room=${home}`,
    introduction: () => clientFrame(CONNECT),
    ready: new RegExp(`${CONNECT}{.*}`),
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
