/** NATS over WebSockets. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { clientFrame } from "../websocket.ts";
import { find, output, type Peer } from "./peer.ts";

export const NATS: Peer = {
  name: "nats",
  configuration: "nats-server over WebSockets, without JetStream: stores nothing",
  install: "apt-get install nats-server",
  protocol: {
    path: (home) => `/${home}`,
    introduction(_, channels) {
      // A subscription's id may be any word; with the channel's name, all lines have the same length.
      const subscriptions = channels.map((channel) => `SUB ${channel} ${channel}\r\n`);
      return clientFrame(`CONNECT {"verbose":false,"pedantic":false}\r\n${subscriptions.join("")}PING\r\n`);
    },
    // The server pings each client once.
    ready: /(?=.*PONG\r\n).*PING\r\n/s,
    announcement: (channel, message) => clientFrame(`PUB ${channel} ${message.length}\r\n${message}\r\n`),
    delivery: (channel, message) => Buffer.from(`MSG ${channel} ${channel} ${message.length}\r\n${message}\r\n`),
  },
  async version() {
    const program = await find("nats-server");
    return program && (await output(program, "--version")).trim();
  },
  async command(port, folder) {
    const file = join(folder, "nats.conf");
    await writeFile(
      file,
      `listen: "127.0.0.1:-1"
websocket { listen: "127.0.0.1:${port}", no_tls: true }
ping_interval: "1h"
`,
    );
    return [(await find("nats-server")) ?? "", "-c", file, "-l", join(folder, "log")];
  },
};
