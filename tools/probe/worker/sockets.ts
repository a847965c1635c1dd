/** Sockets whose clients don't read, and streams held by a Worker. */
import { type Facts, numberIn } from "../facts.ts";
import { type Askable, type Host, pause } from "./host.ts";

const FRAME = `${"x".repeat(65_535)}\n`;
/** Frames sent before the runtime gets time to flush them. */
const FRAMES = 16;
/** That time, and the time before the final measurement, in milliseconds. */
const MEANWHILE = 10;
const LATER = 1_000;

/**
 * Sends to the only client until its backlog is large enough, or so much was sent that it should be. Returns the bytes
 * `sent`, and `bufferedAmount` at `most` and `later`, if the property exists.
 * @param ask `enough`: the backlog; `bytes`: the maximum to send
 */
export async function flood(host: Host, ask: Facts): Promise<Facts> {
  const socket = onlySocket(host);
  const bytes = numberIn(ask, "bytes");
  const enough = numberIn(ask, "enough");
  let most = 0;
  let sent = 0;
  while (sent < bytes && most < enough) {
    for (let frame = 0; frame < FRAMES; frame++) socket.send(FRAME);
    sent += FRAMES * FRAME.length;
    await pause(MEANWHILE);
    most = Math.max(most, waiting(socket) ?? 0);
  }
  await pause(LATER);
  const later = waiting(socket);
  return later === undefined ? { sent } : { sent, most, later };
}

/**
 * Writes a row, and sends frames that its commit holds back. Returns the bytes `sent`, and `bufferedAmount` `before` and
 * `after` the commit, if the property exists.
 */
export async function held(host: Host): Promise<Facts> {
  const socket = onlySocket(host);
  const { storage } = host.context;
  storage.kv.put("held", Date.now());
  for (let frame = 0; frame < FRAMES; frame++) socket.send(FRAME);
  const sent = FRAMES * FRAME.length;
  const before = waiting(socket);
  await storage.sync();
  const after = waiting(socket);
  return before === undefined || after === undefined ? { sent } : { sent, before, after };
}

/** Returns `waiting`, the bytes buffered for the only client, if the property exists. */
export function buffered(host: Host): Facts {
  const bytes = waiting(onlySocket(host));
  return bytes === undefined ? {} : { waiting: bytes };
}

/** Sends its argument to each client. */
export function broadcast(host: Host, ask: Facts): Facts {
  for (const socket of host.context.getWebSockets()) socket.send(`${JSON.stringify(ask)}\n`);
  return {};
}

function onlySocket({ context }: Host): WebSocket {
  const [socket] = context.getWebSockets();
  if (socket === undefined) throw new Error("no client is connected");
  return socket;
}

/** Reads `bufferedAmount`, which may be missing although its type says otherwise. */
function waiting(socket: WebSocket): number | undefined {
  const bytes: unknown = socket.bufferedAmount;
  return typeof bytes === "number" ? bytes : undefined;
}

/** Interval of a stream's keep-alives, in milliseconds. */
const SILENCE = 3_000;

/** Streams an object's messages as server-sent events, from a WebSocket that this Worker holds. */
export async function stream(object: DurableObjectStub<Askable>, url: string): Promise<Response> {
  const { webSocket } = await object.fetch(url, { headers: { Upgrade: "websocket" } });
  if (webSocket === null) throw new Error("the object gave no WebSocket");
  const text = new TransformStream<string, string>();
  const writer = text.writable.getWriter();
  const write = (chunk: string) => void writer.write(chunk).catch(() => webSocket.close());
  const timer = setInterval(() => write(": keep-alive\n\n"), SILENCE);
  webSocket.addEventListener("message", ({ data }) => write(`data: ${String(data)}\n`));
  webSocket.addEventListener("close", () => {
    clearInterval(timer);
    writer.close().catch(() => {});
  });
  webSocket.accept();
  write(": connected\n\n");
  const headers = { "Content-Type": "text/event-stream", "Cache-Control": "no-store, no-transform" };
  return new Response(text.readable.pipeThrough(new TextEncoderStream()), { headers });
}
