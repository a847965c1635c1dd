/** What outlives hibernation, as a socket's attachment. A socket that we have closed has none. */
import { type Grants, isGrants, isNames } from "../auth/grants.ts";
import { TRY_AGAIN } from "../protocol/close-codes.ts";
import { formatReason } from "../protocol/errors.ts";
import { isLongerThan } from "../protocol/text.ts";
import type { Socket } from "./socket.ts";

/**
 * Bytes that the names in an attachment may take. The runtime allows 16,384 in all,
 * https://developers.cloudflare.com/durable-objects/best-practices/websockets/
 */
const MAX_BYTES = 15_000;

export interface Attachment {
  /** Subscriptions of which the client counts no positions. */
  channels: string[];
  /** Those of which it does. */
  counted?: string[];
  grants?: Grants | undefined;
  /** With one of an object's sockets: what is kept for that object, of a few hundred bytes. */
  kept?: object;
}

/** Returns what outlives hibernation of a connection, and what is kept with it for its object. */
export function attachmentOf(
  { channels, counted, grants }: { channels: Set<string>; counted: Set<string>; grants: Grants | undefined },
  kept: object | undefined,
): Attachment {
  const attachment: Attachment = { channels: [...channels].filter((channel) => !counted.has(channel)) };
  if (counted.size > 0) attachment.counted = [...counted];
  if (grants) attachment.grants = grants;
  if (kept) attachment.kept = kept;
  return attachment;
}

export function isAttachment(value: unknown): value is Attachment {
  if (typeof value !== "object" || value === null || !("channels" in value)) return false;
  if ("kept" in value && typeof value.kept !== "object") return false;
  if ("counted" in value && !isNames(value.counted)) return false;
  return isNames(value.channels) && (!("grants" in value) || isGrants(value.grants));
}

/** Closes a socket whose attachment can't be read, as its grants are unknown. */
export function closeUnreadable(socket: Socket): void {
  socket.serializeAttachment(null);
  socket.close(
    TRY_AGAIN,
    formatReason({ code: "unavailable", why: "its state can't be read; connect again" }),
  );
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
