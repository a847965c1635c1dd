/** The server's settings by name. The server itself checks their values. */

/** Settings that may be arguments. */
export const SETTINGS = [
  "SOCKETS_PER_OBJECT",
  "LINKS_PER_OBJECT",
  "MAX_LINE_BYTES",
  "MAX_CHANNELS_PER_CONNECTION",
  "MAX_BUFFERED_BYTES",
  "LINES_PER_SECOND",
  "HISTORY_SECONDS",
  "HISTORY_BYTES",
  "HISTORY_CHANNELS",
  "PRESENCE_GRACE_SECONDS",
  "MEMBERS_PER_CHANNEL",
  "CLIENT_LIMIT",
  "ALLOWED_ORIGINS",
  "CONSOLE",
  "TOKEN_JWKS_URL",
  "TOKEN_AUDIENCE",
  "TOKEN_ISSUER",
  "TOKEN_MAX_SECONDS",
];

/** Settings that may not be arguments, because all users of a machine can see those. */
export const SECRETS = ["TOKEN_SECRET", "TOKEN_SECRET_PREVIOUS"];

/** Returns the settings in an environment; an empty one counts as missing. */
export function settingsIn(environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    [...SETTINGS, ...SECRETS].flatMap((name) => {
      const value = environment[name];
      return value ? [[name, value]] : [];
    }),
  );
}
