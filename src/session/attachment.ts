/** The state of a connection that survives hibernation, in the attachment of its socket. Closed sockets have none. */
import { type Grants, isGrants, isNames } from "../auth/grants.ts";
import { TRY_AGAIN } from "../protocol/close-codes.ts";
import { formatReason } from "../protocol/errors.ts";
import { isLongerThan } from "../protocol/text.ts";
import type { Connection } from "./connection.ts";
import type { Socket } from "./socket.ts";

/** Largest attachment, see https://developers.cloudflare.com/durable-objects/best-practices/websockets/ */
const MOST_BYTES = 16_384;
/** Bytes of an attachment's own structure, which `size` doesn't include. */
const STRUCTURE = 200;
/** Most bytes of a connection's own part: the names of its channels, and its grants. */
const MOST_OWN_BYTES = 15_000;

export interface Attachment {
  /** Subscriptions without positions. */
  channels: string[];
  /** Subscriptions in which the client counts positions. */
  counted?: string[];
  grants?: Grants | undefined;
  /** State of the whole object, persisted with one of its sockets. */
  kept?: object;
}

export function attachmentOf({ channels, counted, grants }: Connection): Attachment {
  const attachment: Attachment = { channels: [...channels].filter((channel) => !counted.has(channel)) };
  if (counted.size > 0) attachment.counted = [...counted];
  if (grants) attachment.grants = grants;
  return attachment;
}

export function isAttachment(value: unknown): value is Attachment {
  if (typeof value !== "object" || value === null || !("channels" in value)) return false;
  if ("kept" in value && (typeof value.kept !== "object" || value.kept === null)) return false;
  if ("counted" in value && !isNames(value.counted)) return false;
  return isNames(value.channels) && (!("grants" in value) || isGrants(value.grants));
}

/** Closes a socket whose attachment can't be read, because its grants are unknown. */
export function closeUnreadable(socket: Socket): void {
  socket.serializeAttachment(null);
  socket.close(TRY_AGAIN, formatReason({ code: "unavailable", why: "its state can't be read; connect again" }));
}

/** Whether a connection's own part of `bytes`, as `sizeOf` counts them, fits into its attachment. */
export function fitsItself(bytes: number): boolean {
  return bytes <= MOST_OWN_BYTES;
}

/** Whether `kept` fits beside a connection's own part of `bytes`. */
export function fitsBeside(bytes: number, kept: object): boolean {
  return STRUCTURE + bytes + sizeOf(kept) <= MOST_BYTES;
}

/** Returns an upper bound, in bytes, of plain data that V8 serializes: a tag, a length and the contents. */
export function sizeOf(value: unknown): number {
  if (typeof value === "string") return 8 + value.length * (isLongerThan(value, value.length) ? 2 : 1);
  if (typeof value !== "object" || value === null) return 9;
  let bytes = 16;
  for (const [key, part] of Object.entries(value)) bytes += (Array.isArray(value) ? 0 : sizeOf(key)) + sizeOf(part);
  return bytes;
}
