/** Validation of arguments and options. */

/** @throws TypeError unless `isValid` */
export function demand(isValid: boolean, name: string, value: unknown, what: string): asserts isValid {
  if (isValid) return;
  const text = typeof value === "string" ? JSON.stringify(value.slice(0, 40)) : String(value);
  throw new TypeError(`${name} is ${Object(value) === value ? `of type ${typeof value}` : text}; it takes ${what}`);
}

/**
 * Checks text.
 * @param forbidden matches forbidden characters
 * @param most the longest length, in bytes of UTF-8
 */
function checkText(value: unknown, name: string, forbidden: RegExp, most: number, what: string): string {
  const isText = typeof value === "string" && value !== "" && !forbidden.test(value) && value.length <= most;
  // A character has at most three bytes.
  const isValid = isText && (value.length * 3 <= most || encodeURIComponent(value).replace(/%../g, "-").length <= most);
  demand(isValid, name, value, `1 to ${most} bytes of ${what}`);
  return value;
}

/** @throws TypeError if `channel` is no valid channel name */
export function checkChannel(channel: unknown): string {
  const what = "text without spaces, '!' or control characters, not `debug`";
  return checkText(channel, "the channel", /^debug$|[ !\p{Cc}\p{Cs}]/u, 255, what);
}

/** @throws TypeError if `channel` is no name of a channel that can have members */
export function checkSubject(channel: unknown): string {
  const what = "text that doesn't begin with `presence/`";
  return checkText(checkChannel(channel), "the channel", /^presence\//, 246, what);
}

/** @throws TypeError if `key` is no valid key, or name of a member */
export function checkKey(key: unknown, name = "the option `key`"): string {
  const what = "text without spaces or control characters";
  return checkText(key, name, /[ \p{Cc}\p{Cs}]/u, 64, what);
}

/** @throws TypeError if `data` can't be the data of a member */
export function checkData(data: unknown): string {
  const what = "text on one line; for objects use `JSON.stringify`";
  return data === "" ? data : checkText(data, "the data", /[\r\n\p{Cs}]/u, 1_024, what);
}

/** @throws TypeError if `message` isn't one line of at most 1,000,000 bytes, the most that any server allows */
export function checkMessage(message: unknown): string {
  const what = "text on one line, or a codec, such as `json()`";
  return checkText(message, "the message", /[\n\p{Cs}]/u, 1_000_000, what);
}

/** @throws TypeError if `value` isn't a function */
export function checkFunction(value: unknown, name: string): void {
  demand(typeof value === "function", name, value, "a function");
}

/** @throws TypeError that names the first invalid option */
export function checkOptions(options: object): void {
  const isObject = typeof options === "object" && !Array.isArray(options);
  demand(!!options && isObject, "`options`", options, "an object, not an array");
  for (const [key, value] of Object.entries(options)) if (value !== undefined) checkOption(key, value);
}

/** @throws TypeError unless `value` suits the option `key`; programs may have other options */
function checkOption(key: string, value: unknown): void {
  const name = `the option \`${key}\``;
  if (/^(on[A-Z]|debug$)/.test(key)) checkFunction(value, name);
  if (/^(timeout|within)$/.test(key)) demand(typeof value === "number" && value >= 0, name, value, "milliseconds");
  if (key === "overflow") demand(value === "end" || value === "oldest", name, value, "`end` or `oldest`");
  if (key === "codec") checkFunction(Object(value).decode, `${name}.decode`);
  if (/^(since|last|buffer|rate)$/.test(key)) {
    const least = key === "since" ? 0 : 1;
    const what = `a whole number from ${least} up; stored values need \`Number(…)\``;
    demand(Number.isSafeInteger(value) && Number(value) >= least, name, value, what);
  }
}
