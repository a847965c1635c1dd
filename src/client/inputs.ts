/** Checks of everything that programs pass in: once, at once, with a sentence that says what would be right. */

/** @throws TypeError unless a value is fine */
export function demand(isFine: boolean, name: string, value: unknown, what: string): asserts isFine {
  if (isFine) return;
  const text = typeof value === "string" ? JSON.stringify(value.slice(0, 40)) : String(value);
  throw new TypeError(`${name} is ${Object(value) === value ? typeof value : text}; it takes ${what}`);
}

/**
 * Checks text.
 * @param forbidden what it may not have, besides halves of surrogate pairs
 * @param most bytes of UTF-8
 */
function checkText(value: unknown, name: string, forbidden: RegExp, most: number, what: string): string {
  const isText = typeof value === "string" && value !== "" && !forbidden.test(value);
  const bytes = () => encodeURIComponent(String(value)).replace(/%../g, "-").length;
  demand(
    isText && (value.length * 3 <= most || bytes() <= most),
    name,
    value,
    `1 to ${most} bytes of ${what}`,
  );
  return value;
}

/** @throws TypeError if `channel` can't be subscribed to or announced on */
export function checkChannel(channel: unknown): string {
  const what = "text without spaces, '!' and control characters, other than `debug`";
  return checkText(channel, "the channel", /^debug$|[ !\p{Cc}\p{Cs}]/u, 255, what);
}

/** @throws TypeError if `key` can't be the key of an announcement */
export function checkKey(key: unknown): string {
  const what = "text without spaces and control characters";
  return checkText(key, "the option `key`", /[ \p{Cc}\p{Cs}]/u, 64, what);
}

/** @throws TypeError if `message` can't be announced; no server can be set to take longer lines */
export function checkMessage(message: unknown): string {
  const what = "text on one line; for anything else use a codec, such as `json()`";
  return checkText(message, "the message", /[\n\p{Cs}]/u, 1_000_000, what);
}

/** @throws TypeError if `value` is no function */
export function checkFunction(value: unknown, name: string): void {
  demand(typeof value === "function", name, value, "a function");
}

type Check = [isFine: (value: unknown) => boolean, what: string];

const whole = (least: number): Check => [
  (value) => Number.isSafeInteger(value) && Number(value) >= least,
  `a whole number from ${least} up; stored values need \`Number(…)\``,
];
const time: Check = [(value) => typeof value === "number" && value >= 0, "milliseconds, from 0 up"];
const having = (name: string, what: string): Check => [
  (value) => Object(value) === value && name in Object(value),
  what,
];

/** Options of all calls, by their names; besides these there are functions. */
const CHECKS: Record<string, Check> = {
  since: whole(0),
  last: whole(1),
  buffer: whole(1),
  timeout: time,
  within: time,
  signal: having("aborted", "an AbortSignal"),
  codec: having("decode", "a codec, such as `json()`"),
  overflow: [(value) => value === "end" || value === "oldest", '"end" or "oldest"'],
};

/** @throws TypeError naming the first option that is wrong */
export function checkOptions(options: object): void {
  demand(Object(options) === options, "the argument `options`", options, "an object");
  for (const [key, value] of Object.entries(options)) {
    const name = `the option \`${key}\``;
    const [isFine, what] = CHECKS[key] ?? [];
    if (value === undefined) continue;
    if (isFine && what) demand(isFine(value), name, value, what);
    else if (/^on[A-Z]|^debug$/.test(key)) checkFunction(value, name);
  }
}
