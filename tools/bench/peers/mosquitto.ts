/** MQTT over WebSockets. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { BINARY, clientFrame } from "../websocket.ts";
import { find, output, type Peer } from "./peer.ts";

/** Packet types, with the flags that the protocol demands. */
const CONNECT = 0x10;
const PUBLISH = 0x30;
const SUBSCRIBE = 0x82;

/** The type of the answer to `SUBSCRIBE`, which has four more bytes. */
const SUBSCRIBED = String.fromCharCode(0x90);

/** Version 3.1.1, a clean session, and no limit on silence. */
const SESSION = Buffer.from([4, 2, 0, 0]);

export const MOSQUITTO: Peer = {
  name: "mosquitto",
  configuration: "mosquitto over WebSockets, QoS 0, unlimited queues: stores nothing",
  install: "apt-get install mosquitto",
  protocol: {
    path: () => "/",
    subprotocol: "mqtt",
    introduction(_, channels) {
      const connect = packet(CONNECT, text("MQTT"), SESSION, text(""));
      const topics = channels.map((channel) => Buffer.concat([text(channel), Buffer.from([0])]));
      const subscribe = packet(SUBSCRIBE, Buffer.from([0, 1]), ...topics);
      return Buffer.concat([clientFrame(connect, BINARY), clientFrame(subscribe, BINARY)]);
    },
    ready: new RegExp(`${SUBSCRIBED}.{4}`, "s"),
    announcement: (channel, message) => clientFrame(publish(channel, message), BINARY),
    delivery: publish,
  },
  async version() {
    const program = await find("mosquitto");
    return program && /mosquitto version \S+/.exec(await output(program, "-h"))?.[0];
  },
  async command(port, folder) {
    const file = join(folder, "mosquitto.conf");
    // This version ends unless it has another listener besides that for WebSockets.
    await writeFile(
      file,
      `user root
listener 0 ${join(folder, "socket")}
listener ${port} 127.0.0.1
protocol websockets
allow_anonymous true
max_queued_messages 0
set_tcp_nodelay true
log_type error
`,
    );
    return [(await find("mosquitto")) ?? "", "-c", file];
  },
};

function publish(channel: string, message: string): Buffer {
  return packet(PUBLISH, text(channel), Buffer.from(message));
}

/** Encodes a packet; its length fits two bytes. */
function packet(type: number, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const length = body.length < 128 ? [body.length] : [(body.length & 127) | 128, body.length >> 7];
  return Buffer.concat([Buffer.from([type, ...length]), body]);
}

function text(value: string): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(value.length);
  return Buffer.concat([length, Buffer.from(value)]);
}
