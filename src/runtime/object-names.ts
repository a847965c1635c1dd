/**
 * Names of objects. The root of a channel's tree has the channel's name, which can't contain `!`. The children of an
 * object `x` are `x!1`, `x!2`, …
 */

/** Returns the channel of an object. */
export function channelOf(object: string): string {
  const end = object.indexOf("!");
  return end < 0 ? object : object.slice(0, end);
}

/** Returns the parent of a child; undefined for a root. */
export function parentOf(object: string): string | undefined {
  const end = object.lastIndexOf("!");
  return end < 0 ? undefined : object.slice(0, end);
}

/** Returns child number `n` of an object. */
export function childOf(object: string, n: number): string {
  return `${object}!${n}`;
}
