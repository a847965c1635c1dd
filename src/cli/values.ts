/** Values of options that are numbers, channels, or text. */
import { InvalidArgumentError } from "commander";
import { channelFault, nameFault } from "../protocol/channels.ts";
import { keyFault } from "../protocol/keys.ts";
import { Exit, USAGE } from "./exits.ts";

/** Most seconds that a timer can count. */
export const MOST_SECONDS = 2_000_000;

/** Returns a parser of whole numbers within a range. */
export function wholeNumber(least: number, most = Number.MAX_SAFE_INTEGER): (word: string) => number {
  return (word) => {
    const number = /^\d+$/.test(word) ? Number(word) : Number.NaN;
    if (number >= least && number <= most) return number;
    throw new InvalidArgumentError(`It takes a whole number from ${least} to ${most}.`);
  };
}

/** Parses a position. @throws InvalidArgumentError, which explains why a time is none */
export function position(word: string): number {
  if (/^\d+[smhd]$/.test(word)) {
    throw new InvalidArgumentError(
      "It takes a position: messages have no times. Use --last <n>, or --cursor <file>.",
    );
  }
  return wholeNumber(0)(word);
}

export function nonEmpty(word: string): string {
  if (word !== "") return word;
  throw new InvalidArgumentError("It is empty.");
}

export function key(word: string): string {
  const fault = keyFault(word);
  if (fault === undefined) return word;
  throw new InvalidArgumentError(`It is wrong: ${fault}.`);
}

/** Parses names of channels, or prefixes followed by `*`, one after another. */
export function pattern(word: string, earlier: string[]): string[] {
  const fault = nameFault(word);
  if (fault === undefined) return [...earlier, word];
  throw new InvalidArgumentError(`It is wrong: ${fault}.`);
}

/** Returns the key of a line: the same each time that the same input is announced. @throws Exit if it is too long */
export function keyOf(prefix: string | undefined, line: number): string | undefined {
  if (prefix === undefined) return undefined;
  const fault = keyFault(`${prefix}-${line}`);
  if (fault === undefined) return `${prefix}-${line}`;
  throw new Exit(USAGE, `with --key, line ${line} has the key '${prefix}-${line}': ${fault}`);
}

/** Parses a channel that can be subscribed to. */
export function channelName(word: string): string {
  const fault = channelFault(word);
  if (fault === undefined) return word;
  throw new InvalidArgumentError(`It is wrong: ${fault}.`);
}

/** Adds `<channel>=<command>` to the commands of channels. */
export function channelCommand(word: string, earlier: Map<string, string>): Map<string, string> {
  const [, channel = "", command = ""] = /^([^=]*)=(.+)$/s.exec(word) ?? [];
  if (command === "") throw new InvalidArgumentError("It takes a channel, =, and a command.");
  return new Map([...earlier, [channelName(channel), command]]);
}
