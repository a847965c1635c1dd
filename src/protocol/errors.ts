/** Errors as clients get them: a code for programs, and a sentence for people. */
import { utf8Length } from "./text.ts";

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

/** Parses what `formatRefusal` makes; returns undefined for anything else. */
export function parseRefusal(text: string): Refusal | undefined {
  const [, code = "", command = "", argument, why = ""] =
    /^([a-z-]+) ([a-z]+)(?: (\S+))?: (.*)$/s.exec(text) ?? [];
  return isErrorCode(code) ? { code, command, argument, why } : undefined;
}

/** Longest reason of a close frame, in bytes, https://www.rfc-editor.org/rfc/rfc6455#section-5.5 */
const MAX_REASON_BYTES = 123;

/** Formats the reason of a close frame as `<code>: <sentence>`, cut to the length that frames allow. */
export function formatReason({ code, why }: Fault): string {
  let reason = `${code}: ${why}`;
  while (utf8Length(reason) > MAX_REASON_BYTES) reason = reason.slice(0, -1);
  return reason;
}

/** Parses the reason of a close frame; returns undefined if it names no code. */
export function parseReason(reason: string): Fault | undefined {
  const [, code = "", why = ""] = /^([a-z-]+): (.*)$/s.exec(reason) ?? [];
  return isErrorCode(code) ? { code, why } : undefined;
}

/** Formats the sentence of an error for readers of whole sentences: with a capital and a full stop. */
export function sentenceOf(why: string): string {
  return `${why.charAt(0).toUpperCase()}${why.slice(1)}.`;
}
