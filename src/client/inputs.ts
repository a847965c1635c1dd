/** Checks of everything that programs pass in: once, at once, with a sentence that says what would be right. */
import { channelFault } from "../protocol/channels.ts";
import { keyFault } from "../protocol/keys.ts";
import { isLongerThan } from "../protocol/text.ts";
import { Refused } from "./errors.ts";

/** Most bytes of a message: no server can be set to take longer lines. */
const MOST_BYTES = 1_000_000;

/** Formats a value for an error, in one short line. */
export function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 40));
  return Object(value) === value ? typeof value : String(value);
}

/** @throws TypeError unless a value is fine */
export function demand(isFine: boolean, name: string, value: unknown, what: string): asserts isFine {
  if (!isFine) throw new TypeError(`${name} is ${shown(value)}; it takes ${what}`);
}

function demandText(value: unknown, name: string, hint = ""): asserts value is string {
  demand(typeof value === "string", name, value, `text${hint}`);
  if (/\p{Surrogate}/u.test(String(value))) {
    throw new TypeError(`${name} has half of a surrogate pair; it takes well-formed text`);
  }
}

function demandFault(fault: string | undefined): void {
  if (fault !== undefined) throw new TypeError(fault);
}

/** @throws Error if `channel` can't be subscribed to or announced on */
export function checkChannel(channel: unknown): string {
  demandText(channel, "the channel");
  demandFault(channelFault(channel));
  return channel;
}

/** @throws Error if `text` can't be a message */
export function checkText(text: unknown): string {
  const hint = "; for anything else use a codec, such as `json()`";
  demandText(text, "the message", hint);
  demandFault(text === "" ? "a message is missing; it has at least one character" : undefined);
  demandFault(text.includes("\n") ? `a message is one line of text${hint}` : undefined);
  if (isLongerThan(text, MOST_BYTES)) throw new Refused("limit", `a message has at most ${MOST_BYTES} bytes`);
  return text;
}

/** @throws Error if `key` can't be the key of an announcement */
export function checkKey(key: unknown): string {
  demandText(key, "the option `key`");
  demandFault(keyFault(key));
  return key;
}

interface Check {
  isFine(value: unknown): boolean;
  /** What the option takes. */
  what: string;
}

const has = (value: unknown, name: string) => Object(value) === value && name in Object(value);
const whole = (least: number, what: string): Check => ({
  isFine: (value) => Number.isSafeInteger(value) && Number(value) >= least,
  what: `${what}, a whole number from ${least} up; stored values need \`Number(…)\``,
});
const call: Check = { isFine: (value) => typeof value === "function", what: "a function" };
const time: Check = {
  isFine: (value) => typeof value === "number" && value >= 0,
  what: "milliseconds, from 0 up",
};

/** Options of all calls, by their names. */
const CHECKS = new Map<string, Check>([
  ["since", whole(0, "a position")],
  ["last", whole(1, "a number of messages")],
  ["buffer", whole(1, "a number of messages")],
  ["timeout", time],
  ["within", time],
  ["signal", { isFine: (value) => has(value, "aborted"), what: "an AbortSignal" }],
  [
    "codec",
    {
      isFine: (value) => has(value, "encode") && has(value, "decode"),
      what: "an object with `encode` and `decode`, such as `json()`",
    },
  ],
  ["overflow", { isFine: (value) => value === "end" || value === "oldest", what: '"end" or "oldest"' }],
  ...["onMessage", "onGap", "onPosition", "onState", "onInvalid", "debug"].map((name): [string, Check] => [
    name,
    call,
  ]),
]);

/** @throws Error naming the first option that is wrong */
export function checkOptions(options: object): void {
  demand(Object(options) === options, "the argument `options`", options, "an object");
  for (const name in options) {
    const check = CHECKS.get(name);
    const value: unknown = Reflect.get(options, name);
    if (check && value !== undefined)
      demand(check.isFine(value), `the option \`${name}\``, value, check.what);
  }
}

/** @throws Error if `listener` is no function */
export function checkListener(listener: unknown): void {
  demand(call.isFine(listener), "the listener", listener, call.what);
}
