/** What a connection may do, by the token it came with. Without grants, on an open server, it may do all. */
import { EVERYONE, isAmong } from "../protocol/channels.ts";

export interface Grants {
  /** Channels it may subscribe to: names, and beginnings of names that end in `*`. */
  subscribe: string[];
  /** Channels it may announce on, likewise. */
  announce: string[];
  /** When they end, in milliseconds since 1970. */
  until: number;
  /** Whether the bearer may see what only who runs the service needs to know. */
  operate?: boolean;
}

/** Whether `grants` allow to subscribe to `channel`; `all` is heard by every connection. */
export function maySubscribe(grants: Grants | undefined, channel: string): boolean {
  return !grants || channel === EVERYONE || isAmong(grants.subscribe, channel);
}

/** Whether `grants` allow to announce on `channel`; `all` has to be named for that, as it reaches everyone. */
export function mayAnnounce(grants: Grants | undefined, channel: string): boolean {
  if (!grants) return true;
  return channel === EVERYONE ? grants.announce.includes(EVERYONE) : isAmong(grants.announce, channel);
}

/** Whether `grants` allow to see what only who runs the service needs to know. */
export function mayOperate(grants: Grants | undefined): boolean {
  return !grants || grants.operate === true;
}

/** Whether `grants` have ended at `now`. */
export function hasEnded(grants: Grants | undefined, now: number): boolean {
  return grants !== undefined && grants.until <= now;
}

/** Whether `value` is a list of names, and of beginnings of names. */
export function isNames(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((name) => typeof name === "string");
}

/** Whether `value` is what grants are. */
export function isGrants(value: unknown): value is Grants {
  if (typeof value !== "object" || value === null) return false;
  if (!("subscribe" in value && "announce" in value && "until" in value)) return false;
  return isNames(value.subscribe) && isNames(value.announce) && typeof value.until === "number";
}
