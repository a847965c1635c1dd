/**
 * The public keys of a token issuer. An isolate's Worker and objects share them, with one fetch at a time. A cool-down
 * limits fetches, because clients can send tokens that name unknown keys.
 */
import { createLocalJWKSet, errors, type JWK, type JWTVerifyGetKey } from "jose";
import { NoKeys } from "./verify.ts";

/** The platform's functions that a key set uses. */
export interface KeySetRuntime {
  fetch(url: string, init: RequestInit): Promise<Response>;
  /** Milliseconds since 1970. */
  now(): number;
  sleep(milliseconds: number): Promise<void>;
  /** Lets work continue after the request that started it. */
  keep(work: Promise<void>): void;
  /** Logs why keys couldn't be fetched. */
  failed(why: string): void;
}

/** Age at which keys are refreshed, in milliseconds. */
const FRESH_FOR = 600_000;
/** Age up to which keys are used during a refresh; for older keys, tokens wait for the refresh. */
const STALE_FOR = 1_200_000;
/** Age up to which keys are used while refreshes fail. */
const USABLE_FOR = 6 * 3_600_000;

/** Least time between two fetches, in milliseconds, and the most to which an issuer can extend it. */
const COOL_DOWN = 30_000;
const MAX_COOL_DOWN = 300_000;

/** Timeout of a fetch, in milliseconds, and how late a busy machine may notice it: until then, no other fetch starts. */
const DEADLINE = 5_000;
const DELAY = 1_000;

/** Most bytes of a key set. */
const MAX_BYTES = 262_144;

/** Interval at which a request checks whether another request's fetch is over, in milliseconds. */
const POLL_INTERVAL = 20;

/** Errors that newer keys can't fix; they can fix a missing or damaged key. */
const FINAL = [NoKeys, errors.JOSENotSupported, errors.JWKSMultipleMatchingKeys];

export class KeySet {
  readonly #url: string;
  readonly #runtime: KeySetRuntime;
  /** The keys, and when their fetch began. */
  #keys: { find: JWTVerifyGetKey; at: number } | undefined;
  #attempt: { readonly at: number; isOver: boolean } | undefined;
  /** When the next fetch may begin. */
  #notBefore = 0;
  /** Whether the last completed fetch failed. */
  #isFailing = false;

  constructor(url: string, runtime: KeySetRuntime) {
    this.#url = url;
    this.#runtime = runtime;
  }

  /**
   * Finds the key of a token.
   * @throws JWKSNoMatchingKey if the issuer has no such key; NoKeys if the keys are unavailable
   */
  readonly find: JWTVerifyGetKey = async (header, token) => {
    const asked = this.#runtime.now();
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
   * Returns keys whose fetch began at a time or later.
   * @throws NoKeys if they can't be fetched now
   */
  async #since(time: number): Promise<JWTVerifyGetKey> {
    if (!this.#keys || this.#keys.at < time) await this.#refresh();
    if (this.#keys && this.#keys.at >= time) return this.#keys.find;
    throw this.#unavailable();
  }

  get #age(): number {
    return this.#keys ? this.#runtime.now() - this.#keys.at : Number.POSITIVE_INFINITY;
  }

  #unavailable(): NoKeys {
    const wait = Math.max(0, this.#notBefore - this.#runtime.now());
    return new NoKeys("the keys that verify tokens are unavailable", Math.ceil(wait / 1_000));
  }

  /** Waits for the fetch in flight, or starts one unless the last one is too recent. */
  async #refresh(): Promise<void> {
    const joins = this.#isUnderWay;
    // Polls, because another request's promise may never settle, or resume this request in the wrong I/O context.
    while (this.#isUnderWay) await this.#runtime.sleep(POLL_INTERVAL);
    // A fetch that is neither over nor in flight belongs to a request that the platform cancelled.
    const isAbandoned = this.#attempt?.isOver === false;
    if (!isAbandoned && (joins || this.#runtime.now() < this.#notBefore)) return;
    const work = this.#fetch();
    this.#runtime.keep(work);
    await work;
  }

  get #isUnderWay(): boolean {
    const attempt = this.#attempt;
    return attempt?.isOver === false && this.#runtime.now() < attempt.at + DEADLINE + DELAY;
  }

  async #fetch(): Promise<void> {
    const attempt = { at: this.#runtime.now(), isOver: false };
    this.#attempt = attempt;
    this.#notBefore = attempt.at + COOL_DOWN;
    try {
      const late = this.#runtime.sleep(DEADLINE).then(() => {
        throw new Error(`the issuer didn't answer within ${DEADLINE / 1_000} seconds`);
      });
      const find = await Promise.race([this.#load(), late]);
      // A fetch that seemed abandoned may end after a later one.
      if (this.#attempt === attempt) this.#keys = { find, at: attempt.at };
      this.#isFailing = false;
    } catch (error) {
      this.#isFailing = true;
      this.#runtime.failed(error instanceof Error ? error.message : String(error));
    }
    attempt.isOver = true;
  }

  /** Fetches the keys. @throws Error that describes the issuer's response */
  async #load(): Promise<JWTVerifyGetKey> {
    const response = await this.#runtime.fetch(this.#url, {
      headers: { Accept: "application/json, application/jwk-set+json" },
      redirect: "manual",
      signal: AbortSignal.timeout(DEADLINE),
    });
    if (response.status === 200) return createLocalJWKSet({ keys: keysIn(await textOf(response)) });
    this.#notBefore = this.#runtime.now() + coolDown(response.headers.get("Retry-After"), this.#runtime.now());
    await response.body?.cancel();
    throw new Error(`the issuer answers with status ${response.status}`);
  }
}

/** Returns the cool-down after a failure, in milliseconds: the issuer's `Retry-After`, within bounds. */
function coolDown(retryAfter: string | null, now: number): number {
  const seconds = Number(retryAfter ?? 0) * 1_000;
  const asked = Number.isNaN(seconds) ? Date.parse(`${retryAfter}`) - now : seconds;
  return Math.min(Math.max(COOL_DOWN, asked || 0), MAX_COOL_DOWN);
}

/** @throws Error if the body is too long */
async function textOf({ body }: Response): Promise<string> {
  const decoder = new TextDecoder();
  let [text, bytes] = ["", 0];
  for await (const chunk of body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BYTES) throw new Error(`the issuer's key set has more than ${MAX_BYTES} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** @throws Error if the set has no keys */
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
