/** Streams of plain lines, the same as over a WebSocket. */
import { formatCommand } from "../protocol/commands.ts";
import type { From } from "../protocol/positions.ts";
import { formatError } from "../protocol/replies.ts";
import type { StreamEnvironment } from "./environment.ts";
import type { StreamFormat } from "./stream.ts";

/**
 * @param channels the connection's own channel first
 * @param from where to start in each channel; undefined for now
 * @param linesPerSecond the object's limit
 */
export function lineStream(
  channels: string[],
  from: From | undefined,
  environment: StreamEnvironment,
  linesPerSecond: number,
): StreamFormat {
  const last = from && "last" in from ? { from } : {};
  const unsent = channels.slice(1).map((channel) => `${formatCommand({ kind: "subscribe", channel, ...last })}\n`);
  let sentAt = Number.NEGATIVE_INFINITY;
  return {
    from,
    preamble: "",
    // Not needed: the reply to `keepalive` is a line of the stream.
    heartbeat: "",
    fault: undefined,
    get dueAt() {
      return unsent.length === 0 ? Number.POSITIVE_INFINITY : sentAt + 1_000;
    },
    commands() {
      if (environment.now() < this.dueAt) return "";
      sentAt = environment.now();
      return unsent.splice(0, linesPerSecond).join("");
    },
    render: (lines) => lines,
    renderError: formatError,
  };
}
