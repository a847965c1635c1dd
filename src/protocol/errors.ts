/** Errors as clients get them: a code for programs, and a sentence for people. */
import { isLongerThan } from "./text.ts";

/**
 * Every error code. `rate` and `unavailable` invite a retry; `uncertain` means that the command may have been carried
 * out, so only an announcement with a key is safe to repeat; all others fail again.
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

/** What is wrong. */
export interface Fault {
  code: ErrorCode;
  /** A sentence without its capital and its full stop: what is wrong, then what would be right. */
  why: string;
}

/** A command that the server didn't carry out. */
export interface Refusal extends Fault {
  /** The command's name; "line" or "frame" where that can't be told, "connect" for a whole connection. */
  command: string;
  /** The channel, or the key of `once`. */
  argument?: string | undefined;
}

export function isErrorCode(word: string): word is ErrorCode {
  return ERROR_CODES.some((code) => code === word);
}

/** Whether the same request may succeed a little later. */
export function isTemporary(code: ErrorCode): boolean {
  return code === "rate" || code === "unavailable";
}

/** Formats a refusal as `<code> <command>[ <argument>]: <sentence>`. */
export function formatRefusal({ code, command, argument, why }: Refusal): string {
  return `${code} ${command}${argument === undefined ? "" : ` ${argument}`}: ${why}`;
}

/**
 * Parses what `formatRefusal` makes; returns undefined for anything else. A code that this version doesn't know counts
 * as "invalid", so that nothing waits for a reply to the command, or repeats it.
 */
export function parseRefusal(text: string): Refusal | undefined {
  const [, word = "", command = "", argument, why] =
    /^([a-z-]+) ([a-z]+)(?: ([^ ]+))?: (.*)$/s.exec(text) ?? [];
  return why === undefined
    ? undefined
    : { code: isErrorCode(word) ? word : "invalid", command, argument, why };
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

/** The same; a reason without a code, which isn't the server's own, counts as "unavailable". */
export function faultIn(reason: string): Fault {
  return parseReason(reason) ?? { code: "unavailable", why: reason };
}

/** Formats the sentence of an error for readers of whole sentences: with a capital and a full stop. */
export function sentenceOf(why: string): string {
  return `${why.charAt(0).toUpperCase()}${why.slice(1)}.`;
}

/** The inverse of `sentenceOf`. */
export function clauseOf(sentence: string): string {
  return `${sentence.charAt(0).toLowerCase()}${sentence.slice(1).replace(/\.$/, "")}`;
}
