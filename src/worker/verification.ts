/** Token verification on the platform, by Workers for requests, and by objects for the command `token`. */
import { env, waitUntil } from "cloudflare:workers";
import type { Grants } from "../auth/grants.ts";
import { KeySet } from "../auth/key-set.ts";
import { fingerprintsOf, readToken, type TokenSettings } from "../auth/tokens.ts";
import type { Guard } from "../auth/verify.ts";
import { log } from "./log.ts";
import { count } from "./tally.ts";

/** Key sets by URL; only settings name URLs, so there are few. */
const keySets = new Map<string, KeySet>();

/**
 * Returns a token's grants.
 * @throws TokenError if the token is invalid; NoKeys if the keys are unavailable
 */
export function verify(token: string, settings: TokenSettings): Promise<Grants> {
  return readToken(token, settings, (url) => keySetAt(url).find);
}

export async function guardOf(settings: TokenSettings): Promise<Guard> {
  const keys = new Set(await fingerprintsOf(settings));
  return { keys, maxSeconds: settings.maxSeconds, verify: (token) => verify(token, settings) };
}

function keySetAt(url: string): KeySet {
  const known = keySets.get(url);
  if (known) return known;
  const keySet = new KeySet(url, {
    fetch: (address, init) => fetch(address, init),
    now: Date.now,
    sleep: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
    keep: waitUntil,
    failed: (why) => {
      log("failures.keys", { code: "unavailable", why });
      count(env, "worker.keys");
    },
  });
  keySets.set(url, keySet);
  return keySet;
}
