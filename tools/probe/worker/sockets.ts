/** Sockets whose clients do not read, and streams that a Worker holds. */
import { type Facts, numberIn } from "../facts.ts";
import { type Askable, pause, type Self } from "./self.ts";

const FRAME = `${"x".repeat(65_535)}\n`;
/** Frames that are sent before the runtime is given time to pass them on. */
const FRAMES = 16;
/** That time, and the one after which it is looked at once more, in milliseconds. */
const MEANWHILE = 10;
const LATER = 1_000;

/**
 * Sends to the one client until enough waits for it, or so much was sent that it should have. Answers with
 * how many bytes were `sent`, and what `bufferedAmount` was at `most`, and `later`, if it is there at all.
 * @param ask `enough` and `bytes`: that wait, and that are sent at most
 */
export async function flood(self: Self, ask: Facts): Promise<Facts> {
  const socket = onlySocket(self);
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
 * Writes a row, and sends frames that the commit of it holds back; answers with how many bytes were `sent`, and what
 * `bufferedAmount` was `before` and `after` the commit, if it is there at all.
 */
export async function held(self: Self): Promise<Facts> {
  const socket = onlySocket(self);
  const { storage } = self.context;
  storage.kv.put("held", Date.now());
  for (let frame = 0; frame < FRAMES; frame++) socket.send(FRAME);
  const sent = FRAMES * FRAME.length;
  const before = waiting(socket);
  await storage.sync();
  const after = waiting(socket);
  return before === undefined || after === undefined ? { sent } : { sent, before, after };
}

/** How many bytes wait for the one client, as `waiting`, if that can be seen. */
export function buffered(self: Self): Facts {
  const bytes = waiting(onlySocket(self));
  return bytes === undefined ? {} : { waiting: bytes };
}

/** Says something to each client. */
export function tell(self: Self, ask: Facts): Facts {
  for (const socket of self.context.getWebSockets()) socket.send(`${JSON.stringify(ask)}\n`);
  return {};
}

function onlySocket({ context }: Self): WebSocket {
  const [socket] = context.getWebSockets();
  if (socket === undefined) throw new Error("nobody is connected");
  return socket;
}

/** The types say that it is there, but the question is whether it is. */
function waiting(socket: WebSocket): number | undefined {
  const bytes: unknown = socket.bufferedAmount;
  return typeof bytes === "number" ? bytes : undefined;
}

/** Without anything to say for so long, a stream says that it is still there; in milliseconds. */
const SILENCE = 3_000;

/** Streams what an object says on a WebSocket, which this Worker holds, as server-sent events. */
export async function stream(object: DurableObjectStub<Askable>, url: string): Promise<Response> {
  const { webSocket } = await object.fetch(url, { headers: { Upgrade: "websocket" } });
  if (webSocket === null) throw new Error("the object gave no WebSocket");
  const text = new TransformStream<string, string>();
  const writer = text.writable.getWriter();
  const write = (chunk: string) => void writer.write(chunk).catch(() => webSocket.close());
  const timer = setInterval(() => write(": still there\n\n"), SILENCE);
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
