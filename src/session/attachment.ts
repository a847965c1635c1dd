/** What outlives hibernation, as a socket's attachment. A socket that the server has closed has none. */
import { type Grants, isGrants, isNames } from "../auth/grants.ts";
import { TRY_AGAIN } from "../protocol/close-codes.ts";
import { formatReason } from "../protocol/errors.ts";
import { isLongerThan } from "../protocol/text.ts";
import type { Socket } from "./socket.ts";

/** Size that the runtime allows, https://developers.cloudflare.com/durable-objects/best-practices/websockets/ */
const MOST_BYTES = 16_384;
/** What an attachment takes besides what is counted: its own structure. */
const STRUCTURE = 200;
/** Bytes that a connection's own part may take: the names of its channels, and its grants. */
const MOST_OWN_BYTES = 15_000;

export interface Attachment {
  /** Subscriptions of which the client counts no positions. */
  channels: string[];
  /** Those of which it does. */
  counted?: string[];
  grants?: Grants | undefined;
  /** State of the whole object, persisted with one of its sockets. */
  kept?: object;
}

/** A connection as far as its attachment has it. */
interface Attached {
  readonly channels: ReadonlySet<string>;
  readonly counted: ReadonlySet<string>;
  readonly grants: Grants | undefined;
}

/** Returns what outlives hibernation of a connection. */
export function attachmentOf({ channels, counted, grants }: Attached): Attachment {
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

/** Closes a socket whose attachment can't be read, as its grants are unknown. */
export function closeUnreadable(socket: Socket): void {
  socket.serializeAttachment(null);
  socket.close(
    TRY_AGAIN,
    formatReason({ code: "unavailable", why: "its state can't be read; connect again" }),
  );
}

/** Whether a connection's own part of `bytes`, as `sizeOf` counts them, fits into its attachment. */
export function fitsItself(bytes: number): boolean {
  return bytes <= MOST_OWN_BYTES;
}

/** Whether `kept` fits beside a connection's own part of `bytes`. */
export function fitsBeside(bytes: number, kept: object): boolean {
  return STRUCTURE + bytes + sizeOf(kept) <= MOST_BYTES;
}

/** Returns how many bytes plain data takes at most as V8 serializes it: a tag, a length and what it's made of. */
export function sizeOf(value: unknown): number {
  if (typeof value === "string") return 8 + value.length * (isLongerThan(value, value.length) ? 2 : 1);
  if (typeof value !== "object" || value === null) return 9;
  let bytes = 16;
  for (const [key, part] of Object.entries(value))
    bytes += (Array.isArray(value) ? 0 : sizeOf(key)) + sizeOf(part);
  return bytes;
}
