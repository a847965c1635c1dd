/** Parsers of option values. */
import { InvalidArgumentError } from "commander";
import { channelFault, nameFault } from "../protocol/channels.ts";
import { sentenceOf } from "../protocol/errors.ts";
import { keyFault } from "../protocol/keys.ts";
import { memberFault } from "../protocol/members.ts";
import { SECRETS, SETTINGS } from "../serve/settings.ts";
import { Exit, USAGE } from "./exits.ts";

/** Longest timer, in seconds. */
export const MAX_SECONDS = 2_000_000;

/** Returns a parser of whole numbers within a range. */
export function wholeNumber(least: number, most = Number.MAX_SAFE_INTEGER): (word: string) => number {
  return (word) => {
    const number = /^\d+$/.test(word) ? Number(word) : Number.NaN;
    if (number >= least && number <= most) return number;
    throw new InvalidArgumentError(`It takes a whole number from ${least} to ${most}.`);
  };
}

/** Parses a position. @throws InvalidArgumentError, which explains times too */
export function position(word: string): number {
  if (/^\d+[smhd]$/.test(word)) {
    throw new InvalidArgumentError("It takes a position: messages have no times. Use --last <n>, or --cursor <file>.");
  }
  return wholeNumber(0)(word);
}

export function nonEmpty(word: string): string {
  if (word !== "") return word;
  throw new InvalidArgumentError("The value is empty.");
}

/** Parses the name of a Worker, which begins its address. */
export function workerName(word: string): string {
  if (/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(word)) return word;
  throw new InvalidArgumentError("It takes up to 63 lowercase letters, digits and, between them, dashes.");
}

/** Returns a parser of words in which `faultOf` finds no fault. */
function faultless(faultOf: (word: string) => string | undefined): (word: string) => string {
  return (word) => {
    const fault = faultOf(word);
    if (fault === undefined) return word;
    throw new InvalidArgumentError(sentenceOf(fault));
  };
}

export const key = faultless(keyFault);
export const channelName = faultless(channelFault);
export const memberName = faultless(memberFault);
const patternName = faultless(nameFault);

/** Parses a channel's name or a prefix followed by `*`, and appends it to earlier ones. */
export function pattern(word: string, earlier: string[]): string[] {
  return [...earlier, patternName(word)];
}

/** Returns the idempotency key of a line. @throws Exit if it is too long */
export function keyOf(prefix: string | undefined, line: number): string | undefined {
  if (prefix === undefined) return undefined;
  const fault = keyFault(`${prefix}-${line}`);
  if (fault === undefined) return `${prefix}-${line}`;
  throw new Exit(USAGE, `with --key, line ${line} has the key '${prefix}-${line}': ${fault}`);
}

/** Parses `<channel>=<command>`, and adds it to the commands by channel. */
export function channelCommand(word: string, earlier: Map<string, string>): Map<string, string> {
  const [, channel = "", command = ""] = /^([^=]*)=(.+)$/s.exec(word) ?? [];
  if (command === "") throw new InvalidArgumentError("Use the form <channel>=<command>.");
  return new Map([...earlier, [channelName(channel), command]]);
}

/** Parses `<NAME>=<value>`, and adds it to the settings by name. */
export function setting(word: string, earlier: Record<string, string>): Record<string, string> {
  // `npm start` takes a colon.
  const [, name = "", value = ""] = /^(\w+)[=:](.*)$/s.exec(word) ?? [];
  if (name === "") throw new InvalidArgumentError("Use the form <NAME>=<value>.");
  // The command refuses secrets, because errors of this function repeat the value.
  if ([...SETTINGS, ...SECRETS].includes(name)) return { ...earlier, [name]: value };
  throw new InvalidArgumentError(`The settings are ${SETTINGS.join(", ")}.`);
}

/** @throws Exit if a channel, given as an argument, isn't valid */
export function checkChannel(channel: string): void {
  const fault = channelFault(channel);
  if (fault !== undefined) throw new Exit(USAGE, fault);
}
