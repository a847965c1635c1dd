/** WebSocket close codes, https://www.rfc-editor.org/rfc/rfc6455#section-7.4, and the server's reasons to close. */
import type { ErrorCode } from "./errors.ts";

/** Asks the client to reconnect: its stream would have a hole, or the service is full. */
export const TRY_AGAIN = 1013;
/** The client exceeded a limit, or its access ended. */
export const POLICY = 1008;
/** The client's frame is too long. */
export const TOO_BIG = 1009;
/** Answers a close frame with an undefined code. */
export const PROTOCOL_ERROR = 1002;
/** Reported by the runtime for a close frame without a code; it can't be sent. */
export const NO_CODE = 1005;

interface Closing {
  /** The WebSocket close code. */
  status: number;
  /** The error code with which the close reason begins. */
  code: ErrorCode;
}

/** The server's reasons to close a connection, under the names that metrics use. */
export const CLOSINGS = {
  lost: { status: TRY_AGAIN, code: "unavailable" },
  slow: { status: TRY_AGAIN, code: "unavailable" },
  unreachable: { status: TRY_AGAIN, code: "unavailable" },
  unkept: { status: TRY_AGAIN, code: "unavailable" },
  greeting: { status: TRY_AGAIN, code: "unavailable" },
  busy: { status: TRY_AGAIN, code: "unavailable" },
  expired: { status: POLICY, code: "expired" },
  revoked: { status: POLICY, code: "revoked" },
  outdated: { status: POLICY, code: "expired" },
  unauthorized: { status: POLICY, code: "expired" },
  settings: { status: TRY_AGAIN, code: "unavailable" },
  waiting: { status: POLICY, code: "limit" },
  rate: { status: POLICY, code: "rate" },
  frame: { status: TOO_BIG, code: "limit" },
} as const satisfies Record<string, Closing>;

export type ClosingCause = keyof typeof CLOSINGS;

export function isClosingCause(word: string): word is ClosingCause {
  return Object.hasOwn(CLOSINGS, word);
}
