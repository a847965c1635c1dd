/** A response that stays open, in any format. */
import { TRY_AGAIN } from "../protocol/close-codes.ts";
import { formatCommand } from "../protocol/commands.ts";
import { type Fault, formatReason, type Refusal } from "../protocol/errors.ts";
import type { From } from "../protocol/positions.ts";
import type { StreamEnvironment } from "./environment.ts";
import { type ObjectConnection, UNANSWERED } from "./object-connection.ts";

/** Interval of heartbeats, in milliseconds: networks cut connections that are silent for a minute. */
const HEARTBEAT_INTERVAL = 20_000;

/** Time within which an object has to greet a connection, in milliseconds. */
const GREETING_TIMEOUT = 30_000;

/** Time within which an object, or the runtime for it, has to answer `keepalive`, in milliseconds. */
const KEEPALIVE_TIMEOUT = 10_000;

const KEEPALIVE = `${formatCommand({ kind: "keepalive" })}\n`;

/** The format of a stream, and the commands that it needs. */
export interface StreamFormat {
  /** Where to start in the connection's own channel; undefined for now. */
  readonly from: From | undefined;
  /** The text with which the stream begins. */
  readonly preamble: string;
  /** When to call `commands` next, in milliseconds since 1970; Infinity for never. */
  readonly dueAt: number;
  /** Returns the commands to send to the object now. */
  commands(): string;
  /** Renders whole lines of the object. */
  render(lines: string): string;
  /** The text that shows that the stream is alive; "" if the object's lines do. */
  readonly heartbeat: string;
  /** Renders an error that ends the stream. */
  renderError(refusal: Refusal): string;
  /** Why the stream can't continue; undefined if it can. */
  readonly fault: Fault | undefined;
}

/**
 * Opens a stream when the object has greeted the connection.
 * @returns the stream's pieces of text, or why the object refuses the connection
 */
export async function openStream(
  connection: ObjectConnection,
  format: StreamFormat,
  environment: StreamEnvironment,
): Promise<AsyncGenerator<string, void> | Fault> {
  const greeting = await connection.greeting(environment.now() + GREETING_TIMEOUT);
  return typeof greeting === "string" ? piecesOf(connection, format, environment, greeting) : greeting;
}

/**
 * Yields pieces of text, which are never "".
 * @param greeting the first lines that were received
 * @throws Error if the reader was too slow, which aborts the response
 */
async function* piecesOf(
  connection: ObjectConnection,
  format: StreamFormat,
  environment: StreamEnvironment,
  greeting: string,
): AsyncGenerator<string, void> {
  const heartbeatAfter = format.heartbeat === "" ? Number.POSITIVE_INFINITY : HEARTBEAT_INTERVAL;
  const checkAlive = livenessOf(connection, environment);
  let text = format.preamble + format.render(greeting);
  let wroteAt = environment.now();
  connection.markRead();
  yield text;
  for (;;) {
    connection.send(format.commands());
    const lines = await connection.take(Math.min(checkAlive(), wroteAt + heartbeatAfter, format.dueAt));
    if (lines === "" && connection.ending) break;
    if (lines === "" && format.fault) connection.end({ code: TRY_AGAIN, reason: formatReason(format.fault) });
    text = format.render(lines);
    if (text === "" && environment.now() - wroteAt >= heartbeatAfter) text = format.heartbeat;
    if (text === "") continue;
    wroteAt = environment.now();
    yield text;
  }
  if (connection.isTooSlow) throw new Error("the reader was too slow");
  if (connection.fault) yield format.renderError({ ...connection.fault, command: "connect" });
}

/**
 * Returns a check to make before each wait for lines: it sends `keepalive` to a silent object, and closes the
 * connection if the object doesn't reply, because the socket of a lost object may stay open.
 * @returns a function that returns when to check again
 */
function livenessOf(connection: ObjectConnection, environment: StreamEnvironment): () => number {
  /** When the last `keepalive` was sent, and the number of frames received before. */
  let sent = { at: 0, frames: -1 };
  return () => {
    const { receivedAt, frames } = connection;
    const now = environment.now();
    if (sent.frames !== frames) {
      if (now - receivedAt < HEARTBEAT_INTERVAL) return receivedAt + HEARTBEAT_INTERVAL;
      sent = { at: now, frames };
      connection.send(KEEPALIVE);
    } else if (now - sent.at >= KEEPALIVE_TIMEOUT) {
      connection.end({ code: TRY_AGAIN, reason: formatReason(UNANSWERED) });
    }
    return sent.at + KEEPALIVE_TIMEOUT;
  };
}
