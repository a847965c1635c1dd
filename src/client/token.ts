/** Tokens: where they come from, and when they are renewed. */
import { type Leaving, limited } from "./http.ts";
import { shown } from "./inputs.ts";
import type { FanoutOptions } from "./types.ts";
import type { World } from "./world.ts";

/** How long before its end a token is renewed, in milliseconds. */
const BEFORE_END = 30_000;

/** Shortest and longest time until a renewal, in milliseconds. */
const LEAST = 2_000;
const MOST = 86_400_000;

/** Time until a renewal, in milliseconds, if the clock can't be right and the token doesn't say how long it lives. */
const UNKNOWN = 60_000;

/** How long a function may take to get a token, in milliseconds. */
const PATIENCE = 20_000;

/** @throws Error if that can't be sent as a token */
function checkToken(token: unknown): string {
  // These are the characters of a subprotocol.
  if (typeof token === "string" && /^[\w.~!#$%&'*+^`|-]+$/.test(token)) return token;
  const fault =
    typeof token === "string" ? "is empty or has characters that no token has" : `is ${shown(token)}`;
  throw new TypeError(`the token ${fault}; it takes a JWT, or a function that returns one`);
}

export class Tokens {
  readonly #world: World;
  readonly #source: FanoutOptions["token"];

  /** @throws Error if there can't be a token */
  constructor(world: World, source: FanoutOptions["token"]) {
    if (source !== undefined && typeof source !== "function") checkToken(source);
    this.#world = world;
    this.#source = source;
  }

  /** Whether another token may be better. */
  get areRenewable(): boolean {
    return typeof this.#source === "function";
  }

  /**
   * Gets a token; undefined if the client has none.
   * @param leaving fails it before the function returns
   * @throws what the function throws, or Error if it takes too long or returns no token
   */
  async get(leaving: Leaving): Promise<string | undefined> {
    const source = this.#source;
    if (typeof source !== "function") return source;
    const late = `the function \`token\` didn't return within ${PATIENCE / 1_000} s`;
    return checkToken(await limited(this.#world, PATIENCE, leaving, async () => source(), late));
  }
}

/**
 * Milliseconds until a token should be renewed; undefined if it doesn't say when it ends. A clock that is off must
 * neither cause a renewal at once, again and again, nor none at all.
 * @param date milliseconds since 1970, by a clock that may be wrong
 */
export function untilRenewal(token: string, date: number): number | undefined {
  const { exp, iat } = claimsIn(token);
  if (exp === undefined) return undefined;
  const lifetime = iat === undefined || iat >= exp ? undefined : (exp - iat) * 1_000;
  let left = exp * 1_000 - date;
  // A server that has just taken it knows better.
  if (left <= 0 || left > (lifetime ?? left)) left = lifetime ?? UNKNOWN;
  const wait = Math.max(left / 2, left - BEFORE_END);
  const least = Math.max(LEAST, Math.min(BEFORE_END, (lifetime ?? 0) / 4));
  return Math.min(MOST, Math.max(least, wait));
}

/** The claims that say when a token ends and was issued, in Unix seconds. */
function claimsIn(token: string): { exp?: number | undefined; iat?: number | undefined } {
  try {
    const [, payload = ""] = token.split(".");
    const claims: unknown = JSON.parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/")));
    if (typeof claims !== "object" || claims === null) return {};
    const { exp, iat } = { exp: undefined, iat: undefined, ...claims };
    return { exp: numberIn(exp), iat: numberIn(iat) };
  } catch {
    return {};
  }
}

function numberIn(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}
