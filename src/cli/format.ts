/** Formats messages and gaps for `fanout sub`. */
import type { Gap, Message } from "../client/fanout.ts";
import { print, printAsIs } from "./output.ts";
import { jsonOf } from "./visible.ts";

export interface FormatOptions {
  json?: boolean;
  raw?: boolean;
}

/** Prints a message. Only `raw` sends control characters to a terminal. */
export function printMessage({ channel, text, position }: Message, { json, raw }: FormatOptions, areSeveral: boolean) {
  if (json) return print(jsonOf({ channel, text, position }));
  if (raw) return printAsIs(`${channel}!${text}`);
  return print(areSeveral ? `${channel} ${text}` : text);
}

export function formatGap({ channel, from, to }: Gap): string {
  const after = from === undefined ? "" : ` after ${from}`;
  return `messages of ${channel}${after} are lost${to === undefined ? "" : `, up to ${to}`}: they have expired`;
}

export function gapAsJson({ channel, from, to }: Gap): string {
  return jsonOf({ channel, gap: { from, to } });
}
