/** The operator's settings: read from the Worker's variables, each with a default. */
import { utf8Length } from "./protocol.ts";
import type { TokenSettings } from "./tokens.ts";

export interface Settings {
  /** Connections one object holds before a channel's next ones go to a child. */
  socketsPerObject: number;
  /** Links one object feeds before the next ones go to a child; also the most children of an object. */
  linksPerObject: number;
  /** Longest line a client may send, in bytes, its end not counted. */
  maxLineBytes: number;
  /** Channels one connection may be subscribed to, `all` included. */
  maxChannelsPerConnection: number;
  /** Bytes that may wait for one connection or one link, in either direction; also of one frame. */
  maxBufferedBytes: number;
  /** Lines of one connection that are carried out in a second, and in one burst; as many more are refused. */
  linesPerSecond: number;
  /** Connections that the whole service has at most; 0 means that they are not counted. */
  clientLimit: number;
  /** Origins from which browsers may connect; undefined means any. */
  allowedOrigins: string[] | undefined;
  /** How tokens are checked; undefined means that none is needed. */
  tokens: TokenSettings | undefined;
}

export type Variables = Readonly<Record<string, unknown>>;

/** A setting that cannot be used; the message names it and says what would do. */
export class SettingError extends Error {}

/**
 * Reads the settings.
 * @throws SettingError naming the first variable that is out of range
 */
export function readSettings(variables: Variables): Settings {
  return {
    socketsPerObject: wholeNumber(variables, "SOCKETS_PER_OBJECT", 10_000, 1, 32_768),
    linksPerObject: wholeNumber(variables, "LINKS_PER_OBJECT", 1_000, 1, 10_000),
    maxLineBytes: wholeNumber(variables, "MAX_LINE_BYTES", 65_536, 300, 1_000_000),
    maxChannelsPerConnection: wholeNumber(variables, "MAX_CHANNELS_PER_CONNECTION", 256, 2, 4_000),
    maxBufferedBytes: wholeNumber(variables, "MAX_BUFFERED_BYTES", 4_194_304, 1_000_000, 32_000_000),
    linesPerSecond: wholeNumber(variables, "LINES_PER_SECOND", 10_000, 1, 1_000_000),
    clientLimit: wholeNumber(variables, "CLIENT_LIMIT", 0, 0, 1_000_000_000),
    allowedOrigins: origins(variables, "ALLOWED_ORIGINS"),
    tokens: tokens(variables),
  };
}

function text(variables: Variables, name: string): string | undefined {
  const value = variables[name];
  if (value === undefined || value === "") return undefined;
  if (typeof value === "string") return value;
  throw new SettingError(`${name} must be text`);
}

function origins(variables: Variables, name: string): string[] | undefined {
  const list = text(variables, name);
  return list?.split(/[\s,]+/).map((origin) => {
    if (isOrigin(origin)) return origin;
    throw new SettingError(
      `${name} must be origins like 'https://example.com', separated by commas, not '${origin}'`,
    );
  });
}

function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text && !text.includes("*");
}

/** RFC 7518, section 3.2: a key for HS256 has at least the size of what it makes. */
const LEAST_SECRET = 32;

function tokens(variables: Variables): TokenSettings | undefined {
  const secret = text(variables, "TOKEN_SECRET");
  const keys = text(variables, "TOKEN_JWKS_URL");
  const audience = text(variables, "TOKEN_AUDIENCE");
  if (secret !== undefined && keys !== undefined) {
    throw new SettingError("only one of TOKEN_SECRET and TOKEN_JWKS_URL may be set");
  }
  if (secret !== undefined) {
    if (utf8Length(secret) >= LEAST_SECRET) return { secret, audience };
    throw new SettingError(`TOKEN_SECRET must have at least ${LEAST_SECRET} bytes, chosen at random`);
  }
  if (keys !== undefined) {
    if (isSafeUrl(keys)) return { keys, audience };
    throw new SettingError("TOKEN_JWKS_URL must be a URL that begins with https://, without a password");
  }
  if (audience === undefined) return undefined;
  throw new SettingError("TOKEN_AUDIENCE needs TOKEN_SECRET or TOKEN_JWKS_URL");
}

/** Keys that come over a network in the clear could be anyone's. */
function isSafeUrl(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname, username, password } = new URL(url);
  if (username !== "" || password !== "") return false;
  return protocol === "https:" || (protocol === "http:" && ["localhost", "127.0.0.1"].includes(hostname));
}

function wholeNumber(
  variables: Variables,
  name: string,
  fallback: number,
  least: number,
  most: number,
): number {
  const value = variables[name];
  if (value === undefined || value === "") return fallback;
  const number = /^\d+$/.test(String(value)) ? Number(value) : Number.NaN;
  if (Number.isSafeInteger(number) && number >= least && number <= most) return number;
  throw new SettingError(`${name} must be a whole number from ${least} to ${most}, not '${String(value)}'`);
}
