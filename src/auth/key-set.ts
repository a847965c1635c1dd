/**
 * The public keys of a token issuer. The Worker and the objects of one isolate share them, and one fetch at a time:
 * tokens that name unknown keys must not cause more fetches than the cool-down allows.
 */
import { createLocalJWKSet, errors, type JWK, type JWTVerifyGetKey } from "jose";
import { NoKeys } from "./verify.ts";

/** What a key set needs from the platform. */
export interface KeyWorld {
  fetch(url: string, init: RequestInit): Promise<Response>;
  /** Milliseconds since 1970. */
  now(): number;
  sleep(milliseconds: number): Promise<void>;
  /** Keeps work going when the request that began it ends. */
  keep(work: Promise<void>): void;
  /** Notes why keys couldn't be fetched, for operators. */
  failed(why: string): void;
}

/** How long keys are used before they are refreshed, in milliseconds. */
const FRESH_FOR = 600_000;
/** How long they are used during a refresh; after that, tokens wait for it. */
const STALE_FOR = 1_200_000;
/** How long they are used while the issuer doesn't answer. */
const USABLE_FOR = 6 * 3_600_000;

/** Least time between two attempts to fetch keys, in milliseconds, and the most that an issuer can extend it to. */
const COOL_DOWN = 30_000;
const LONGEST_COOL_DOWN = 300_000;

/** How long an attempt may take, in milliseconds, and how large a key set may be, in bytes. */
const DEADLINE = 5_000;
const MOST_BYTES = 262_144;

/** How often a request checks whether another one's attempt is over, in milliseconds. */
const POLL_INTERVAL = 20;

/** Errors that newer keys can't cure; a missing or damaged key may be cured. */
const FINAL = [NoKeys, errors.JOSENotSupported, errors.JWKSMultipleMatchingKeys];

interface Attempt {
  readonly at: number;
  isOver: boolean;
}

export class KeySet {
  readonly #url: string;
  readonly #world: KeyWorld;
  /** The keys, and when their attempt began. */
  #keys: { find: JWTVerifyGetKey; at: number } | undefined;
  #attempt: Attempt | undefined;
  /** When the next attempt may begin. */
  #notBefore = 0;
  /** Whether the newest attempt that is over has failed. */
  #isFailing = false;

  constructor(url: string, world: KeyWorld) {
    this.#url = url;
    this.#world = world;
  }

  /**
   * Finds the key of a token.
   * @throws JWKSNoMatchingKey if the issuer has no such key; NoKeys if that can't be told now
   */
  readonly find: JWTVerifyGetKey = async (header, token) => {
    const asked = this.#world.now();
    try {
      return await (await this.#current())(header, token);
    } catch (error) {
      if (FINAL.some((kind) => error instanceof kind)) throw error;
      return await (await this.#since(asked))(header, token);
    }
  };

  /** Returns the current keys, and refreshes them as they age. */
  async #current(): Promise<JWTVerifyGetKey> {
    const age = this.#age;
    if (age >= FRESH_FOR) {
      const attempt = this.#refresh();
      if (age >= (this.#isFailing ? USABLE_FOR : STALE_FOR)) await attempt;
    }
    if (this.#keys && this.#age < USABLE_FOR) return this.#keys.find;
    throw this.#unavailable();
  }

  /**
   * Returns keys of an attempt that began at a time or later.
   * @throws NoKeys if there are none, and no attempt is allowed
   */
  async #since(time: number): Promise<JWTVerifyGetKey> {
    if (!this.#keys || this.#keys.at < time) await this.#refresh();
    if (this.#keys && this.#keys.at >= time) return this.#keys.find;
    throw this.#unavailable();
  }

  get #age(): number {
    return this.#keys ? this.#world.now() - this.#keys.at : Number.POSITIVE_INFINITY;
  }

  #unavailable(): NoKeys {
    const wait = Math.max(0, this.#notBefore - this.#world.now());
    return new NoKeys("the keys that verify tokens are unavailable", Math.ceil(wait / 1_000));
  }

  /** Waits for the attempt that is under way; else begins one, unless the last one is too recent. */
  async #refresh(): Promise<void> {
    const joins = this.#isUnderWay;
    // Another request's promise may never settle, or settle in a context in which this request can do nothing.
    while (this.#isUnderWay) await this.#world.sleep(POLL_INTERVAL);
    // An attempt that is neither over nor under way belongs to a request that the platform has cancelled.
    const isAbandoned = this.#attempt?.isOver === false;
    if (!isAbandoned && (joins || this.#world.now() < this.#notBefore)) return;
    const work = this.#fetch();
    this.#world.keep(work);
    await work;
  }

  get #isUnderWay(): boolean {
    const attempt = this.#attempt;
    return attempt?.isOver === false && this.#world.now() < attempt.at + DEADLINE + POLL_INTERVAL;
  }

  async #fetch(): Promise<void> {
    const attempt = { at: this.#world.now(), isOver: false };
    this.#attempt = attempt;
    this.#notBefore = attempt.at + COOL_DOWN;
    try {
      const find = await Promise.race([this.#asked(), this.#late()]);
      // An attempt that seemed abandoned may end after a later one.
      if (this.#attempt === attempt) this.#keys = { find, at: attempt.at };
      this.#isFailing = false;
    } catch (error) {
      this.#isFailing = true;
      this.#world.failed(error instanceof Error ? error.message : String(error));
    }
    attempt.isOver = true;
  }

  async #late(): Promise<never> {
    await this.#world.sleep(DEADLINE);
    throw new Error(`the issuer hasn't answered within ${DEADLINE / 1_000} seconds`);
  }

  /** Fetches the keys. @throws Error that describes the issuer's response */
  async #asked(): Promise<JWTVerifyGetKey> {
    const response = await this.#world.fetch(this.#url, {
      headers: { Accept: "application/json, application/jwk-set+json" },
      redirect: "manual",
      signal: AbortSignal.timeout(DEADLINE),
    });
    if (response.status === 200) return createLocalJWKSet({ keys: keysIn(await textOf(response)) });
    this.#notBefore = this.#world.now() + coolDown(response.headers.get("Retry-After"), this.#world.now());
    await response.body?.cancel();
    throw new Error(`the issuer answers with status ${response.status}`);
  }
}

/** Returns how long to wait after a failure, in milliseconds: what the issuer asks for, within bounds. */
function coolDown(retryAfter: string | null, now: number): number {
  const seconds = Number(retryAfter ?? 0) * 1_000;
  const asked = Number.isNaN(seconds) ? Date.parse(`${retryAfter}`) - now : seconds;
  return Math.min(Math.max(COOL_DOWN, asked || 0), LONGEST_COOL_DOWN);
}

/** @throws Error if it is too long */
async function textOf({ body }: Response): Promise<string> {
  const decoder = new TextDecoder();
  let [text, bytes] = ["", 0];
  for await (const chunk of body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > MOST_BYTES) throw new Error(`the issuer's key set has more than ${MOST_BYTES} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** @throws Error if there are none */
function keysIn(text: string): JWK[] {
  const set: unknown = JSON.parse(text);
  const listed = typeof set === "object" && set !== null && "keys" in set ? set.keys : undefined;
  const keys = Array.isArray(listed) ? listed.filter(isKey) : [];
  if (keys.length > 0) return keys;
  throw new Error("the issuer's key set has no keys");
}

function isKey(value: unknown): value is JWK {
  return typeof value === "object" && value !== null && "kty" in value && typeof value.kty === "string";
}
