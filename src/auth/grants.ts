/**
 * The permissions of a connection, from its token. On a server without tokens, there are no grants and all is allowed.
 */
import { EVERYONE, matchesAny } from "../protocol/channels.ts";
import { subjectOf } from "../protocol/members.ts";

export interface Grants {
  /** Channels that the client may subscribe to: names, and prefixes followed by `*`. */
  subscribe: string[];
  /** Channels that the client may announce on, in the same form. */
  announce: string[];
  /** Channels that the client may enter as a member, in the same form; undefined for none. */
  enter?: string[] | undefined;
  /** When the grants expire, in milliseconds since 1970. */
  until: number;
  /** Whether the client may see the operators' pages. */
  operate?: boolean;
  /** The token's subject; undefined if it has none. */
  sub?: string;
  /** When the token was issued, in Unix seconds; undefined if it doesn't say. */
  iat?: number | undefined;
  /** The fingerprint of the key that verified the token. */
  key: string;
}

/** Longest subject of a token, in bytes. */
export const MAX_SUBJECT_BYTES = 255;

/**
 * Why a connection must be refused or closed: tokens are required and it has none; the key of its token is no longer
 * valid; or it has a token on a server without tokens, which could not renew it.
 */
export type GrantsFault = "missing" | "outdated" | "needless";

/**
 * Compares grants with the keys that are valid now, which change when an operator rotates a secret.
 * @param keys fingerprints; undefined on a server without tokens
 */
export function grantsFault(
  grants: Grants | undefined,
  keys: ReadonlySet<string> | undefined,
): GrantsFault | undefined {
  if (!keys) return grants ? "needless" : undefined;
  if (!grants) return "missing";
  return keys.has(grants.key) ? undefined : "outdated";
}

/**
 * Whether `grants` include subscribing to `channel`; every connection may subscribe to `all`. The right to subscribe to
 * a channel includes its presence.
 */
export function maySubscribe(grants: Grants | undefined, channel: string): boolean {
  if (!grants || channel === EVERYONE || matchesAny(grants.subscribe, channel)) return true;
  const subject = subjectOf(channel);
  return subject !== undefined && (subject === EVERYONE || matchesAny(grants.subscribe, subject));
}

/** Whether `grants` include announcing on `channel`; no pattern includes `all`, because it reaches every client. */
export function mayAnnounce(grants: Grants | undefined, channel: string): boolean {
  return !grants || isNamed(grants.announce, channel);
}

/** Whether `grants` include entering `channel`, under any name. No pattern includes `all`. */
export function mayEnter(grants: Grants | undefined, channel: string): boolean {
  return !grants || isNamed(grants.enter ?? [], channel);
}

/** Whether `grants` allow a member name: a token with a subject allows only that name, so no user can pose as another. */
export function mayEnterAs(grants: Grants | undefined, member: string): boolean {
  return grants?.sub === undefined || grants.sub === member;
}

function isNamed(patterns: string[], channel: string): boolean {
  return channel === EVERYONE ? patterns.includes(EVERYONE) : matchesAny(patterns, channel);
}

/** Whether `grants` include the operators' pages. */
export function mayOperate(grants: Grants | undefined): boolean {
  return !grants || grants.operate === true;
}

/** Whether `grants` include the names of all channels; without tokens, no client may see them. */
export function maySeeNames(grants: Grants | undefined): boolean {
  return grants?.operate === true;
}

/** Whether `grants` have expired at `now`. */
export function hasExpired(grants: Grants | undefined, now: number): boolean {
  return grants !== undefined && grants.until <= now;
}

/** Whether `value` is a list of channel names and patterns. */
export function isNames(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((name) => typeof name === "string");
}

export function isGrants(value: unknown): value is Grants {
  if (typeof value !== "object" || value === null) return false;
  const { subscribe, announce, enter, until, operate, sub, iat, key }: { [name in keyof Grants]?: unknown } = value;
  const isOptional = (property: unknown, type: string) => property === undefined || typeof property === type;
  return (
    isNames(subscribe) &&
    isNames(announce) &&
    (enter === undefined || isNames(enter)) &&
    Number.isFinite(until) &&
    typeof key === "string" &&
    isOptional(operate, "boolean") &&
    isOptional(sub, "string") &&
    isOptional(iat, "number")
  );
}
