/** The operator's settings: read from the Worker's variables, each with a default. */
import type { TokenSettings } from "../auth/tokens.ts";
import { utf8Length } from "../protocol/text.ts";
import { type Limits, readLimits, SettingError, text, type Variables, wholeNumber } from "../runtime/limits.ts";

export interface Settings {
  limits: Limits;
  /** Origins from which browsers may connect; undefined means any. */
  allowedOrigins: string[] | undefined;
  /** How tokens are verified; undefined means that none is needed. */
  tokens: TokenSettings | undefined;
  /** Whether browsers get the console page. */
  hasConsole: boolean;
}

/**
 * Reads the settings.
 * @param ownOrigins origins of pages that may always connect; without ALLOWED_ORIGINS, only these may
 * @throws SettingError that names the first invalid variable
 */
export function readSettings(variables: Variables, ownOrigins?: string[]): Settings {
  return {
    limits: readLimits(variables),
    allowedOrigins: origins(variables, ownOrigins),
    tokens: tokens(variables),
    hasConsole: hasConsole(variables),
  };
}

/** Returns the settings under the names and values of their variables, without secrets. */
export function publicSettings({
  limits,
  allowedOrigins,
  tokens,
  hasConsole,
}: Settings): Record<string, number | string> {
  const { maxPendingBytes: _, maxWork: _work, historyChannels, ...numbers } = limits;
  const shown: Record<string, number | string> = {
    HISTORY_CHANNELS: historyChannels.join(" "),
    CONSOLE: hasConsole ? "on" : "off",
  };
  for (const [name, value] of Object.entries(numbers)) {
    shown[name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()] = value;
  }
  if (tokens?.maxSeconds !== undefined) shown.TOKEN_MAX_SECONDS = tokens.maxSeconds;
  if (allowedOrigins) shown.ALLOWED_ORIGINS = allowedOrigins.join(" ");
  return shown;
}

/** @returns true if the variable isn't set */
function hasConsole(variables: Variables): boolean {
  const value = text(variables, "CONSOLE") ?? "on";
  if (value !== "on" && value !== "off") throw new SettingError(`CONSOLE must be 'on' or 'off', not '${value}'`);
  return value === "on";
}

/** @param fallback origins that may always connect */
function origins(variables: Variables, fallback: string[] | undefined): string[] | undefined {
  const list = text(variables, "ALLOWED_ORIGINS")?.split(/[\s,]+/);
  if (!list) return fallback;
  if (list.length === 1 && list[0] === "*") return undefined;
  for (const origin of list) {
    if (isOrigin(origin)) continue;
    throw new SettingError(
      `ALLOWED_ORIGINS must be '*', or origins like 'https://example.com' and 'app://localhost', without a path, separated by commas, not '${origin}'`,
    );
  }
  return [...new Set([...list, ...(fallback ?? [])])];
}

/** Origins of apps and extensions, which have their own schemes, and sometimes capital letters. */
const APP_ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@*'",]*$/;

/** Schemes that pages never have. */
const NO_PAGES = ["ws:", "wss:", "ftp:"];

/** Accepts `null` too, the origin of sandboxed pages and many others. */
function isOrigin(text: string): boolean {
  if (text === "null") return true;
  if (!URL.canParse(text) || text.includes("*")) return false;
  const { origin, protocol } = new URL(text);
  if (NO_PAGES.includes(protocol)) return false;
  return protocol === "http:" || protocol === "https:" ? origin === text : APP_ORIGIN.test(text);
}

/** Least bytes of a secret: RFC 7518, section 3.2, requires that a key for HS256 is as long as its output. */
const MIN_SECRET_BYTES = 32;

/** Token settings that need a key. */
const NEED_KEYS = ["TOKEN_AUDIENCE", "TOKEN_ISSUER", "TOKEN_SECRET_PREVIOUS", "TOKEN_MAX_SECONDS"];

function tokens(variables: Variables): TokenSettings | undefined {
  const secret = secretIn(variables, "TOKEN_SECRET");
  const keys = text(variables, "TOKEN_JWKS_URL");
  const previous = secretIn(variables, "TOKEN_SECRET_PREVIOUS");
  const audience = text(variables, "TOKEN_AUDIENCE");
  const issuer = text(variables, "TOKEN_ISSUER");
  const maxSeconds = wholeNumber(variables, "TOKEN_MAX_SECONDS", 0, 0, 315_360_000) || undefined;
  if (secret !== undefined && keys !== undefined) {
    throw new SettingError("only one of TOKEN_SECRET and TOKEN_JWKS_URL may be set");
  }
  if (secret !== undefined) return { secret, previous, audience, issuer, maxSeconds };
  if (keys !== undefined) return { keys: keyUrl(keys, audience, previous), audience, issuer, maxSeconds };
  const alone = NEED_KEYS.find((name) => text(variables, name) !== undefined);
  if (alone === undefined) return undefined;
  const needed = alone === "TOKEN_SECRET_PREVIOUS" ? "TOKEN_SECRET" : "TOKEN_SECRET or TOKEN_JWKS_URL";
  throw new SettingError(`${alone} needs ${needed}`);
}

function secretIn(variables: Variables, name: string): string | undefined {
  const secret = text(variables, name);
  if (secret === undefined || utf8Length(secret) >= MIN_SECRET_BYTES) return secret;
  throw new SettingError(`${name} must have at least ${MIN_SECRET_BYTES} bytes, chosen at random`);
}

/** Requires an audience, because issuers sign tokens for other services too. */
function keyUrl(url: string, audience: string | undefined, previous: string | undefined): string {
  if (!isSafeUrl(url)) {
    throw new SettingError("TOKEN_JWKS_URL must be a URL that begins with https://, without a password");
  }
  if (previous !== undefined) throw new SettingError("TOKEN_SECRET_PREVIOUS needs TOKEN_SECRET");
  if (audience !== undefined) return url;
  throw new SettingError("TOKEN_JWKS_URL needs TOKEN_AUDIENCE, which the claim 'aud' of each token has to name");
}

/** Requires TLS, because anyone on the network could replace keys that are sent unencrypted. */
function isSafeUrl(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname, username, password } = new URL(url);
  if (username !== "" || password !== "") return false;
  return protocol === "https:" || (protocol === "http:" && LOCAL_HOSTS.includes(hostname));
}

/** Hosts of local URLs. */
const LOCAL_HOSTS = ["localhost", "127.0.0.1", "[::1]"];

/** The secret of the README's examples. */
const EXAMPLE_SECRET = "an-example-with-more-than-32-bytes";

/**
 * Checks that the secret isn't the README's example, unless the client is on this machine.
 * @throws SettingError if the secret is public
 */
export function checkSecret({ tokens }: Settings, { url, headers }: Request): void {
  if (!tokens || !("secret" in tokens)) return;
  if (![tokens.secret, tokens.previous].includes(EXAMPLE_SECRET)) return;
  const address = headers.get("CF-Connecting-IP") ?? "::1";
  if (LOCAL_HOSTS.includes(new URL(url).hostname) && LOCAL_ADDRESSES.includes(address)) return;
  throw new SettingError("TOKEN_SECRET is the README's example, which everyone knows; choose one at random");
}

/** Addresses of clients on this machine. */
const LOCAL_ADDRESSES = ["127.0.0.1", "::1", "::ffff:127.0.0.1"];
