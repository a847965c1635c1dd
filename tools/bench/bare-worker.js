/**
 * The least that a server of streams does in this runtime: an object gathers lines until a timer of 0 ms, and sends all
 * its sockets the same frame. A stream is such a socket whose other end a Worker holds, which writes each frame to the
 * response. With WRITER = "object", the object writes the responses itself, which would keep it in memory for as long
 * as a stream is open.
 */
import { DurableObject } from "cloudflare:workers";

const GREETING = "debug!connected...\n";
const HEADERS = { "Content-Type": "text/plain", "Content-Encoding": "identity" };
const encoder = new TextEncoder();

export class Channel extends DurableObject {
  #lines = "";
  /** @type {ReadableStreamDefaultController[]} */
  #streams = [];

  fetch(request) {
    if (request.headers.get("Upgrade") !== "websocket") return new Response(this.#stream(), { headers: HEADERS });
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    server.send(GREETING);
    return new Response(null, { status: 101, webSocket: client });
  }

  webSocketMessage(_, frame) {
    if (this.#lines === "") setTimeout(() => this.#flush(), 0);
    for (const line of frame.split("\n")) {
      if (line !== "") this.#lines += `${line.slice("announce ".length).replace(" ", "!")}\n`;
    }
  }

  #flush() {
    const lines = this.#lines;
    this.#lines = "";
    for (const socket of this.ctx.getWebSockets()) socket.send(lines);
    const bytes = encoder.encode(lines);
    for (const stream of this.#streams) stream.enqueue(bytes);
  }

  #stream() {
    return streamOf((stream) => this.#streams.push(stream));
  }
}

export default {
  async fetch(request, env) {
    const channel = env.CHANNEL.getByName(new URL(request.url).pathname);
    if (request.headers.has("Upgrade") || env.WRITER === "object") return channel.fetch(request);
    const { webSocket } = await channel.fetch("http://object/", { headers: { Upgrade: "websocket" } });
    const body = streamOf((stream) => {
      webSocket.addEventListener("message", ({ data }) => stream.enqueue(encodeLast(data)));
    });
    webSocket.accept();
    return new Response(body, { headers: HEADERS });
  },
};

function streamOf(onStart) {
  return new ReadableStream(
    {
      start: (stream) => {
        stream.enqueue(encoder.encode(GREETING));
        onStart(stream);
      },
    },
    { highWaterMark: 0 },
  );
}

let last = { text: "", bytes: encoder.encode("") };

/** Encodes the text of a frame once for all streams. */
function encodeLast(text) {
  if (text !== last.text) last = { text, bytes: encoder.encode(text) };
  return last.bytes;
}
