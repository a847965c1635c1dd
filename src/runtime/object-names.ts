/**
 * Names of objects. The root of a channel's tree is named like the channel; the children of an object
 * `x` are named `x!1`, `x!2`, … (a channel's name has no `!`).
 */

/** The channel that an object serves. */
export function channelOf(object: string): string {
  const end = object.indexOf("!");
  return end < 0 ? object : object.slice(0, end);
}

/** The object that a child hangs on; undefined for a root. */
export function parentOf(object: string): string | undefined {
  const end = object.lastIndexOf("!");
  return end < 0 ? undefined : object.slice(0, end);
}

/** Number `n` of the children of an object. */
export function childOf(object: string, n: number): string {
  return `${object}!${n}`;
}
