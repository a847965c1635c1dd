/** Invalid settings and their error messages, for tests of the parser and of the server. */
import { SECRET } from "../../runtime/support/mint.ts";
import { ranges } from "../object/ranges.ts";

export interface Wrong {
  variables: Record<string, unknown>;
  /** The expected message. */
  says: string;
}

const KEYS = "https://example.com/jwks.json";

/** Lists of origins with an invalid one, which the message names. */
function wrongOrigins(origins: string[], listOf = (origin: string) => origin): Wrong[] {
  const start =
    "ALLOWED_ORIGINS must be '*', or origins like 'https://example.com' and 'app://localhost', without a path, separated by commas, not";
  return origins.map((origin) => ({
    variables: { ALLOWED_ORIGINS: listOf(origin) },
    says: `${start} '${origin}'`,
  }));
}

/** Lists of channels with a valid and an invalid pattern. */
function wrongChannels(...patterns: string[]): Wrong[] {
  const names = "channel names or prefixes followed by '*', separated by spaces or commas";
  return patterns.map((pattern) => ({
    variables: { HISTORY_CHANNELS: `news/*, ${pattern}` },
    says: `HISTORY_CHANNELS must be ${names}, not '${pattern}'`,
  }));
}

const texts = [
  ...["TOKEN_SECRET", "TOKEN_SECRET_PREVIOUS", "TOKEN_JWKS_URL", "TOKEN_AUDIENCE", "TOKEN_ISSUER"],
  ...["ALLOWED_ORIGINS", "HISTORY_CHANNELS"],
];

const notText: Wrong[] = texts.flatMap((name) =>
  [0, 1, true, false, null, {}, [], ["*"]].map((value) => ({
    variables: { [name]: value },
    says: `${name} must be text`,
  })),
);

const shortSecrets: Wrong[] = ["s", "s".repeat(31), "\u00e9".repeat(15), " "].flatMap((secret) => [
  {
    variables: { TOKEN_SECRET: secret },
    says: "TOKEN_SECRET must have at least 32 bytes, chosen at random",
  },
  {
    variables: { TOKEN_SECRET: SECRET, TOKEN_SECRET_PREVIOUS: secret },
    says: "TOKEN_SECRET_PREVIOUS must have at least 32 bytes, chosen at random",
  },
]);

const unsafeKeys: Wrong[] = [
  ...["http://localhost.example.com/", "http://localhost@example.com/", "http://127.0.0.1.nip.io/"],
  ...["http://example.com/keys", "ftp://localhost/", "file:///keys", "data:,{}", "javascript:1"],
  ...["keys", "/keys", "//example.com", "https://", " "],
].map((url) => ({
  variables: { TOKEN_JWKS_URL: url },
  says: "TOKEN_JWKS_URL must be a URL that begins with https://, without a password",
}));

const tooMany: Wrong[] = ranges.map(({ name, least, most }) => ({
  variables: { [name]: String(most + 1) },
  says: `${name} must be a whole number from ${least} to ${most}, not '${most + 1}'`,
}));

const withoutKey: Wrong[] = [
  { variables: { TOKEN_AUDIENCE: "fanout" }, says: "TOKEN_AUDIENCE needs TOKEN_SECRET or TOKEN_JWKS_URL" },
  { variables: { TOKEN_ISSUER: "issuer" }, says: "TOKEN_ISSUER needs TOKEN_SECRET or TOKEN_JWKS_URL" },
  { variables: { TOKEN_SECRET_PREVIOUS: SECRET }, says: "TOKEN_SECRET_PREVIOUS needs TOKEN_SECRET" },
  {
    variables: { TOKEN_JWKS_URL: KEYS, TOKEN_AUDIENCE: "fanout", TOKEN_SECRET_PREVIOUS: SECRET },
    says: "TOKEN_SECRET_PREVIOUS needs TOKEN_SECRET",
  },
];

const withoutAudience: Wrong[] = [{}, { TOKEN_AUDIENCE: "" }, { TOKEN_ISSUER: "issuer" }].map((variables) => ({
  variables: { TOKEN_JWKS_URL: KEYS, ...variables },
  says: "TOKEN_JWKS_URL needs TOKEN_AUDIENCE, which the claim 'aud' of each token has to name",
}));

/** The secret is valid, and must not be in the message. */
const besideSecret: Wrong[] = [
  { variables: { TOKEN_JWKS_URL: KEYS }, says: "only one of TOKEN_SECRET and TOKEN_JWKS_URL may be set" },
  ...wrongOrigins(["nonsense"]),
  {
    variables: { MAX_LINE_BYTES: "1" },
    says: "MAX_LINE_BYTES must be a whole number from 300 to 1000000, not '1'",
  },
  { variables: { TOKEN_AUDIENCE: 1 }, says: "TOKEN_AUDIENCE must be text" },
].map(({ variables, says }) => ({ variables: { TOKEN_SECRET: SECRET, ...variables }, says }));

/** All invalid settings, by what is wrong. */
export const wrongSettings: [what: string, settings: Wrong[]][] = [
  ["required claims without a key", withoutKey],
  ["keys without an audience", withoutAudience],
  ["secrets of less than 32 bytes", shortSecrets],
  ["URLs of keys that the network could tamper with", unsafeKeys],
  ["values that aren't text", notText],
  ["origins with wildcards", wrongOrigins(["https://*.example.com", "https://*", "http://localhost:*"])],
  [
    "origins that no browser would send",
    wrongOrigins(
      [
        ...["https://example.com/", "https://Example.com", "https://example.com:443"],
        ...["https://example.com/path", "example.com", "*", "file:///page", "'https://example.com'"],
        ...["wss://example.com", "ws://localhost", "ftp://example.com", "data:x", "tauri://localhost/"],
        ...["app://a@b", "app:x", "null/", "NULL"],
      ],
      (origin) => `https://good.example, ${origin}`,
    ),
  ],
  [
    "origins that are empty",
    [",", "https://example.com,", ",https://example.com", " "].flatMap((list) => wrongOrigins([""], () => list)),
  ],
  ["invalid channels", wrongChannels("", "debug", "a!b", "a!*", "!*", "n".repeat(256), `${"n".repeat(256)}*`)],
  ["numbers out of range", tooMany],
  ["other invalid settings next to a secret", besideSecret],
];
