/** What a connection may do, by the token it came with. Without grants, on an open server, it may do all. */
import { EVERYONE, matchesAny } from "../protocol/channels.ts";

export interface Grants {
  /** Channels it may subscribe to: names, and beginnings of names that end in `*`. */
  subscribe: string[];
  /** Channels it may announce on, likewise. */
  announce: string[];
  /** When they end, in milliseconds since 1970. */
  until: number;
  /** Whether the bearer may see what only who runs the service needs to know. */
  operate?: boolean;
  /** The token's subject; undefined if it has none. */
  sub?: string;
  /** The fingerprint of the key that verified the token. */
  key: string;
}

/** Longest subject of a token, in bytes. */
export const MAX_SUBJECT_BYTES = 255;

/**
 * Why a connection can't be admitted, or stay: it has no grants, though tokens are required; the key of its token isn't
 * valid any more; or it has grants, though no tokens are required, so that it couldn't be renewed.
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

/** Whether `grants` allow to subscribe to `channel`; `all` is heard by every connection. */
export function maySubscribe(grants: Grants | undefined, channel: string): boolean {
  return !grants || channel === EVERYONE || matchesAny(grants.subscribe, channel);
}

/** Whether `grants` allow to announce on `channel`; `all` has to be named for that, as it reaches everyone. */
export function mayAnnounce(grants: Grants | undefined, channel: string): boolean {
  if (!grants) return true;
  return channel === EVERYONE ? grants.announce.includes(EVERYONE) : matchesAny(grants.announce, channel);
}

/** Whether `grants` allow to see what only who runs the service needs to know. */
export function mayOperate(grants: Grants | undefined): boolean {
  return !grants || grants.operate === true;
}

/** Whether `grants` allow to see the names of all channels; on an open server, no client may. */
export function maySeeNames(grants: Grants | undefined): boolean {
  return grants?.operate === true;
}

/** Whether `grants` have ended at `now`. */
export function hasEnded(grants: Grants | undefined, now: number): boolean {
  return grants !== undefined && grants.until <= now;
}

/** Whether `value` is a list of names, and of beginnings of names. */
export function isNames(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((name) => typeof name === "string");
}

/** Whether `value` is grants, in each of its properties. */
export function isGrants(value: unknown): value is Grants {
  if (typeof value !== "object" || value === null) return false;
  const { subscribe, announce, until, operate, sub, key }: { [name in keyof Grants]?: unknown } = value;
  const isOptional = (property: unknown, type: string) => property === undefined || typeof property === type;
  return (
    isNames(subscribe) &&
    isNames(announce) &&
    Number.isFinite(until) &&
    typeof key === "string" &&
    isOptional(operate, "boolean") &&
    isOptional(sub, "string")
  );
}
