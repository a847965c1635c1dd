/** The state of a connection that survives hibernation, in the attachment of its socket. Closed sockets have none. */
import { type Grants, isGrants, isNames } from "../auth/grants.ts";
import { TRY_AGAIN } from "../protocol/close-codes.ts";
import { formatReason } from "../protocol/errors.ts";
import { isLongerThan } from "../protocol/text.ts";
import type { Member } from "../runtime/calls.ts";
import { isNumber, isRecord, isString, optional, shape } from "../runtime/rows.ts";
import type { Socket } from "./socket.ts";

/** Largest attachment, see https://developers.cloudflare.com/durable-objects/best-practices/websockets/ */
const MOST_BYTES = 16_384;
/** Bytes of an attachment's own structure, which `size` doesn't include. */
const STRUCTURE = 200;
/** Most bytes of a connection's own part: the names of its channels, and its grants. */
const MOST_OWN_BYTES = 15_000;

/** As whom a connection is present in a channel. */
export interface Entered extends Member {
  /** When that was, in milliseconds since 1970: of several connections of a member, the latest has its data. */
  readonly at: number;
}

export interface Attachment {
  /** Subscriptions without positions. */
  channels: string[];
  /** Subscriptions in which the client counts positions. */
  counted?: string[] | undefined;
  grants?: Grants | undefined;
  /** As whom it has entered which channel, and when: see `Entered`. */
  entered?: [channel: string, member: string, data: string, at: number][] | undefined;
  /** State of the whole object, persisted with one of its sockets. */
  kept?: object | undefined;
}

/** The properties of a connection that are in its attachment. */
interface Attached {
  readonly channels: ReadonlySet<string>;
  readonly counted: ReadonlySet<string>;
  readonly grants: Grants | undefined;
  readonly entered: ReadonlyMap<string, Entered>;
}

export function attachmentOf({ channels, counted, grants, entered }: Attached): Attachment {
  const attachment: Attachment = { channels: [...channels].filter((channel) => !counted.has(channel)) };
  if (counted.size > 0) attachment.counted = [...counted];
  if (grants) attachment.grants = grants;
  if (entered.size > 0) {
    attachment.entered = [...entered].map(([channel, { member, data, at }]) => [channel, member, data, at]);
  }
  return attachment;
}

export const isAttachment: (value: unknown) => value is Attachment = shape({
  channels: isNames,
  counted: optional(isNames),
  grants: optional(isGrants),
  entered: optional(areEntered),
  kept: optional(isRecord),
});

function areEntered(value: unknown): value is [channel: string, member: string, data: string, at: number][] {
  const isEntered = (each: unknown) =>
    Array.isArray(each) && isString(each[0]) && isString(each[1]) && isString(each[2]) && isNumber(each[3]);
  return Array.isArray(value) && value.every(isEntered);
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
