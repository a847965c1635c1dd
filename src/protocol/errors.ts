/** Errors that clients receive: a code for programs, and a sentence for people. */
import { isLongerThan } from "./text.ts";

/**
 * All error codes. After `rate` and `unavailable`, a retry may succeed. `uncertain` means that the command may have
 * taken effect, so only an announcement with a key is safe to retry. With all others, a retry fails again.
 */
export const ERROR_CODES = [
  "invalid",
  "forbidden",
  "expired",
  "revoked",
  "limit",
  "rate",
  "unavailable",
  "uncertain",
  "no-history",
  "conflict",
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** An error: its code and its sentence. */
export interface Fault {
  code: ErrorCode;
  /** States the fault, then the remedy; without a capital and a full stop. */
  why: string;
}

/** A command that the server refused. */
export interface Refusal extends Fault {
  /** The command's name; "line" or "frame" if it has none, "connect" for a whole connection. */
  command: string;
  /** The channel, or the key of `once`. */
  argument?: string | undefined;
}

export function isErrorCode(word: string): word is ErrorCode {
  return ERROR_CODES.some((code) => code === word);
}

/** Whether a retry may succeed. */
export function isTemporary(code: ErrorCode): boolean {
  return code === "rate" || code === "unavailable";
}

/** Formats a refusal as `<code> <command>[ <argument>]: <sentence>`. */
export function formatRefusal({ code, command, argument, why }: Refusal): string {
  return `${code} ${command}${argument === undefined ? "" : ` ${argument}`}: ${why}`;
}

/**
 * Parses a refusal; the inverse of `formatRefusal`. Returns undefined for other text. Unknown codes count as "invalid",
 * so that the command is settled, and not retried.
 */
export function parseRefusal(text: string): Refusal | undefined {
  const [, word = "", command = "", argument, why] = /^([a-z-]+) ([a-z]+)(?: ([^ ]+))?: (.*)$/s.exec(text) ?? [];
  return why === undefined ? undefined : { code: isErrorCode(word) ? word : "invalid", command, argument, why };
}

/** Longest reason of a close frame, in bytes, https://www.rfc-editor.org/rfc/rfc6455#section-5.5 */
const MAX_REASON_BYTES = 123;

/** Formats the reason of a close frame as `<code>: <sentence>`, cut to the length that frames allow. */
export function formatReason({ code, why }: Fault): string {
  let reason = `${code}: `;
  // Iterating keeps surrogate pairs together.
  for (const character of why) {
    if (isLongerThan(reason + character, MAX_REASON_BYTES)) break;
    reason += character;
  }
  return reason;
}

/** Parses the reason of a close frame; returns undefined if it doesn't begin with a code. */
export function parseReason(reason: string): Fault | undefined {
  const [, code = "", why = ""] = /^([a-z-]+): (.*)$/s.exec(reason) ?? [];
  return isErrorCode(code) ? { code, why } : undefined;
}

/** Like `parseReason`; a reason without a code, which comes from a proxy or runtime, counts as "unavailable". */
export function faultIn(reason: string): Fault {
  return parseReason(reason) ?? { code: "unavailable", why: reason };
}

/** Turns an error's clause into a sentence, with a capital and a full stop. */
export function sentenceOf(why: string): string {
  return `${why.charAt(0).toUpperCase()}${why.slice(1)}.`;
}

/** The inverse of `sentenceOf`. */
export function clauseOf(sentence: string): string {
  return `${sentence.charAt(0).toLowerCase()}${sentence.slice(1).replace(/\.$/, "")}`;
}
