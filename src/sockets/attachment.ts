/** What outlives hibernation, as a socket's attachment. A socket that we have closed has none. */
import { type Grants, isGrants, isNames } from "../auth/grants.ts";
import { isLongerThan } from "../protocol/text.ts";

/**
 * Bytes that the names in an attachment may take. The runtime allows 16,384 in all,
 * https://developers.cloudflare.com/durable-objects/best-practices/websockets/
 */
const MAX_BYTES = 15_000;

export interface Attachment {
  channels: string[];
  grants?: Grants | undefined;
  /** With one of an object's sockets: what is kept for that object, of a few hundred bytes. */
  kept?: object;
}

export function isAttachment(value: unknown): value is Attachment {
  if (typeof value !== "object" || value === null || !("channels" in value)) return false;
  if ("kept" in value && typeof value.kept !== "object") return false;
  return isNames(value.channels) && (!("grants" in value) || isGrants(value.grants));
}

/** Whether these subscriptions and grants fit into one attachment. */
export function fits(channels: Iterable<string>, grants: Grants | undefined): boolean {
  let bytes = 0;
  for (const name of channels) bytes += bytesOf(name);
  for (const name of grants?.subscribe ?? []) bytes += bytesOf(name);
  for (const name of grants?.announce ?? []) bytes += bytesOf(name);
  if (grants?.sub !== undefined) bytes += bytesOf(grants.sub);
  return bytes <= MAX_BYTES;
}

/** Bytes that one name takes: V8 writes Latin-1 as it is and all else as UTF-16. */
function bytesOf(name: string): number {
  return 8 + name.length * (isLongerThan(name, name.length) ? 2 : 1);
}
