/** Verification of tokens with a secret. */

import fc from "fast-check";
import { CompactEncrypt, generateKeyPair, UnsecuredJWT } from "jose";
import { beforeAll, describe, expect, test } from "vitest";
import { isGrants } from "../../../src/auth/grants.ts";
import { fingerprintsOf, MAX_TOKEN_BYTES, readToken, type TokenSettings } from "../../../src/auth/tokens.ts";
import { TokenError } from "../../../src/auth/verify.ts";
import { stopClock } from "../../runtime/support/clock.ts";
import { EVERYTHING, mint, SECRET, seconds, sign } from "../../runtime/support/mint.ts";

stopClock();

const settings: TokenSettings = { secret: SECRET, audience: undefined };
const key = new TextEncoder().encode(SECRET);

/** The clock is stopped, so that tests are exact to the second. */
let now: number;
/** The fingerprint of the secret. */
let current: string;

beforeAll(async () => {
  now = seconds();
  [current] = await fingerprintsOf(settings);
});

/** Returns the code and the message of a token's error. */
async function fault(token: string, checked = settings): Promise<string> {
  const outcome = await readToken(token, checked).catch((error: unknown) => error);
  if (!(outcome instanceof TokenError)) throw new Error(`accepted, or failed: ${JSON.stringify(outcome)}`);
  // The message is a sentence without capital and full stop, and contains no secret.
  expect(outcome.message).toMatch(/^(the|a) token.*[^.]$/);
  expect(outcome.message).not.toContain(SECRET);
  if (token.length > 10) expect(outcome.message).not.toContain(token);
  return `${outcome.code}: ${outcome.message}`;
}

/** Encodes a part of a JWT. */
function part(value: unknown): string {
  return encoded(JSON.stringify(value));
}

function encoded(bytes: string): string {
  return btoa(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Makes a token with any header and a valid signature. */
async function signed(header: unknown, claims: string): Promise<string> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const hmac = await crypto.subtle.importKey("raw", key, algorithm, false, ["sign"]);
  const start = `${part(header)}.${claims}`;
  const signature = await crypto.subtle.sign(algorithm, hmac, new TextEncoder().encode(start));
  return `${start}.${encoded(String.fromCharCode(...new Uint8Array(signature)))}`;
}

describe("a valid token", () => {
  test("grants its claims", async () => {
    const claims = {
      subscribe: ["news/*", "caf\u00e9", "*"],
      announce: ["all", ""],
      enter: ["news/*", "all"],
      exp: now + 60,
      sub: "me",
    };
    const { subscribe, announce, enter } = claims;
    expect(await readToken(await mint(claims), settings)).toEqual({
      subscribe,
      announce,
      enter,
      until: (now + 60 + 5) * 1000,
      sub: "me",
      key: current,
    });
  });

  test("grants nothing for missing and null claims", { tags: ["token-grants"] }, async () => {
    const nothing = { subscribe: [], announce: [], until: (now + 3_605) * 1000, key: current };
    expect(await readToken(await mint(), settings)).toEqual(nothing);
    expect(await readToken(await mint({ subscribe: null, announce: null }), settings)).toEqual(nothing);
    expect(await readToken(await mint({ Subscribe: ["a"], channels: ["a"] }), settings)).toEqual(nothing);
  });

  test("grants the operators' pages only if its claim `operate` is true", async () => {
    const operate = async (claim: unknown) => (await readToken(await mint({ operate: claim }), settings)).operate;
    expect(await operate(true)).toBe(true);
    for (const claim of ["no", "true", 1, {}, ["*"], false, null]) expect(await operate(claim)).toBeUndefined();
  });

  test("may expire at any time, also within a second", async () => {
    for (const exp of [now + 0.5, 2 ** 31, 2 ** 32]) {
      expect((await readToken(await mint({ exp }), settings)).until).toBe((exp + 5) * 1000);
    }
  });

  test.each(["1e10", "1e13", "1e306", "1e308", "1e400"])(
    "that expires at %s expires within the range of alarms",
    async (exp) => {
      const grants = await readToken(await mint(`{"exp":${exp}}`), settings).catch((error: unknown) => error);
      if (grants instanceof TokenError) return;
      expect(isGrants(JSON.parse(JSON.stringify(grants)))).toBe(true);
      // Later alarms can't be set.
      expect(grants).toMatchObject({ until: expect.toSatisfy((until) => until < Date.UTC(2189, 0)) });
    },
  );

  test("can't be changed to grant anything else", async () => {
    const token = await mint(EVERYTHING);
    const grants = await readToken(token, settings);
    const characters = fc.constantFrom(..."AQgwZz019-_.=+/ \u00e9");
    await fc.assert(
      fc.asyncProperty(fc.nat(token.length - 1), characters, fc.nat(1), async (at, character, cut) => {
        const changed = token.slice(0, at) + character + token.slice(at + cut);
        const outcome = await readToken(changed, settings).catch((error: unknown) => error);
        if (!(outcome instanceof TokenError)) expect(outcome).toEqual(grants);
      }),
    );
  });
});

describe("time", () => {
  test("may differ by 5 seconds at a token's expiry", async () => {
    for (const late of [0, 1, 4]) {
      const { until } = await readToken(await mint({ exp: now - late }), settings);
      expect(until).toBe((now - late + 5) * 1000);
    }
    for (const late of [5, 6, 3_600, now, 2 * now]) {
      expect(await fault(await mint({ exp: now - late }))).toBe("expired: the token has expired; get a new one");
    }
  });

  test("may differ by 5 seconds at a token's start", async () => {
    for (const early of [-3_600, 0, 4, 5]) await readToken(await mint({ nbf: now + early }), settings);
    for (const early of [6, 3_600]) {
      expect(await fault(await mint({ nbf: now + early }))).toBe(
        "forbidden: the token's claim 'nbf' is in the future; check the clock of its issuer",
      );
    }
  });

  test("must be a number", async () => {
    expect(await fault(await mint({ exp: undefined }))).toBe("forbidden: the token's claim 'exp' is missing; add it");
    for (const exp of [null, String(now + 60), [now + 60], {}, true]) {
      expect(await fault(await mint({ exp }))).toBe(
        "forbidden: the token's claim 'exp' is malformed; it has to be a time in Unix seconds",
      );
    }
    expect(await fault(await mint({ nbf: "now" }))).toBe(
      "forbidden: the token's claim 'nbf' is malformed; it has to be a time in Unix seconds",
    );
  });
});

test("the lifetime is limited if the settings say so, from when the token was issued or else from now", async () => {
  const limited = { ...settings, maxSeconds: 60 };
  const refused = {
    code: "forbidden",
    message: "a token of this server is valid for at most 60 seconds (TOKEN_MAX_SECONDS); issue it for less",
  };
  await expect(readToken(await mint({ iat: now - 30, exp: now + 30 }), limited)).resolves.toHaveProperty("key");
  await expect(readToken(await mint({ iat: now - 31, exp: now + 30 }), limited)).rejects.toMatchObject(refused);
  await expect(readToken(await mint({ exp: now + 60 }), limited)).resolves.toHaveProperty("key");
  await expect(readToken(await mint({ exp: now + 90 }), limited)).rejects.toMatchObject(refused);
  await expect(readToken(await mint({ exp: now + 10 ** 9 }), settings)).resolves.toHaveProperty("key");
});

test("the audience must be that of the settings, if they have one", async () => {
  const particular = { ...settings, audience: "fanout" };
  for (const aud of ["fanout", ["fanout"], ["other", "fanout"]]) {
    await readToken(await mint({ aud }), particular);
  }
  expect(await fault(await mint(), particular)).toBe("forbidden: the token's claim 'aud' is missing; add it");
  for (const aud of ["other", "", "Fanout", "fanout ", [], ["other"], null, 1, { fanout: true }]) {
    expect(await fault(await mint({ aud }), particular)).toBe(
      "forbidden: the token's claim 'aud' isn't this server's TOKEN_AUDIENCE; make them equal",
    );
    if (typeof aud === "string") await readToken(await mint({ aud }), settings);
  }
});

test("the issuer must be that of the settings, if they have one", async () => {
  const particular = { ...settings, issuer: "https://issuer.example" };
  await readToken(await mint({ iss: "https://issuer.example" }), particular);
  expect(await fault(await mint(), particular)).toBe("forbidden: the token's claim 'iss' is missing; add it");
  for (const iss of ["https://issuer.example/", "other", "", null, 1, ["https://issuer.example"]]) {
    expect(await fault(await mint({ iss }), particular)).toBe(
      "forbidden: the token's claim 'iss' isn't this server's TOKEN_ISSUER; make them equal",
    );
    await readToken(await mint({ iss }), settings);
  }
});

describe("a subject", () => {
  test("is text of at most 255 bytes, or none", async () => {
    for (const sub of ["", "me", "x".repeat(255), "\u00e9".repeat(127)]) {
      expect((await readToken(await mint({ sub }), settings)).sub).toBe(sub);
    }
    for (const sub of [undefined, null]) {
      expect(await readToken(await mint({ sub }), settings)).not.toHaveProperty("sub");
    }
    for (const sub of [1, true, ["me"], {}, "x".repeat(256), "\u00e9".repeat(128)]) {
      expect(await fault(await mint({ sub }))).toBe("forbidden: the token's claim 'sub' is text of at most 255 bytes");
    }
  });

  test("is reported for refused tokens only if the signature is valid", async () => {
    const refused = (token: Promise<string>, checked = settings) =>
      token.then((text) => readToken(text, checked)).catch((error: unknown) => error);
    expect(await refused(mint({ sub: "me", exp: now - 60 }))).toMatchObject({ code: "expired", sub: "me" });
    expect(await refused(mint({ sub: "me" }), { ...settings, audience: "fanout" })).toMatchObject({
      sub: "me",
    });
    expect(await refused(mint({ sub: "me" }, `${SECRET}, another`))).toMatchObject({ sub: undefined });
  });
});

describe("a rotated secret", () => {
  const next = "the next secret of the tests, of more than 32 bytes";
  const rotated: TokenSettings = { secret: next, previous: SECRET, audience: undefined };

  test("and the previous one are both valid, with different fingerprints", async () => {
    const [newer, older] = await fingerprintsOf(rotated);
    expect((await readToken(await mint(EVERYTHING, next), rotated)).key).toBe(newer);
    expect((await readToken(await mint(EVERYTHING, SECRET), rotated)).key).toBe(older);
    expect(older).toBe(current);
    expect(await fault(await mint(EVERYTHING, `${SECRET}, another`), rotated)).toBe(
      "forbidden: the token's signature is wrong; sign it with the key of this server",
    );
    expect(await fault(await mint({ exp: now - 60 }, SECRET), rotated)).toMatch(/^expired/);
  });

  test("has a fingerprint that depends on every token setting, and doesn't reveal them", async () => {
    const different: TokenSettings[] = [
      settings,
      { ...settings, secret: next },
      { ...settings, audience: "fanout" },
      { ...settings, issuer: "fanout" },
      { ...settings, audience: "fanout", issuer: "fanout" },
      { keys: "https://issuer.example/keys", audience: "fanout" },
      { keys: "https://issuer.example/keys", audience: "other" },
      { keys: "https://issuer.example/keys", audience: "fanout", issuer: "issuer" },
    ];
    const fingerprints = await Promise.all(different.map(async (each) => (await fingerprintsOf(each))[0]));
    expect(new Set(fingerprints).size).toBe(different.length);
    for (const fingerprint of fingerprints) expect(fingerprint).toMatch(/^[\w-]{12}$/);
  });
});

describe("a signature", () => {
  const notAccepted = "forbidden: the token's algorithm isn't accepted by this server; with a secret, use HS256";

  test("is required", async () => {
    const unsigned = new UnsecuredJWT(EVERYTHING).setExpirationTime("1h").encode();
    expect(await fault(unsigned)).toBe(notAccepted);
    const [, claims, signature] = (await mint(EVERYTHING)).split(".");
    for (const alg of ["none", "None", "NONE", "nOnE"]) {
      expect(await fault(`${part({ alg })}.${claims}.`)).toBe(notAccepted);
      expect(await fault(`${part({ alg })}.${claims}.${signature}`)).toBe(notAccepted);
    }
    expect(await fault(`${part({ alg: "HS256" })}.${claims}.`)).toBe(
      "forbidden: the token's signature is wrong; sign it with the key of this server",
    );
    expect(await fault(`${part({})}.${claims}.${signature}`)).toBe(
      "forbidden: the token isn't a signed JWT; make one with a JWT library, or `fanout token`",
    );
  });

  test("must be made with the secret", async () => {
    for (const secret of [`${SECRET}x`, SECRET.slice(1), SECRET.toUpperCase(), "x".repeat(32)]) {
      expect(await fault(await mint(EVERYTHING, secret))).toBe(
        "forbidden: the token's signature is wrong; sign it with the key of this server",
      );
    }
    const [header, , signature] = (await mint()).split(".");
    const [, claims] = (await mint(EVERYTHING)).split(".");
    expect(await fault(`${header}.${claims}.${signature}`)).toBe(
      "forbidden: the token's signature is wrong; sign it with the key of this server",
    );
  });

  test("must use HS256", async () => {
    for (const alg of ["HS384", "HS512"]) {
      const long = new TextEncoder().encode(SECRET.repeat(2));
      expect(await fault(await sign({ alg }, EVERYTHING, long), { ...settings, secret: SECRET.repeat(2) })).toBe(
        notAccepted,
      );
    }
    const { privateKey } = await generateKeyPair("ES256");
    expect(await fault(await sign({ alg: "ES256" }, EVERYTHING, privateKey))).toBe(notAccepted);
    const { privateKey: rsa } = await generateKeyPair("RS256");
    expect(await fault(await sign({ alg: "RS256" }, EVERYTHING, rsa))).toBe(notAccepted);
  });
});

describe("the error for tokens that aren't signed JWTs", () => {
  const notJwt = "forbidden: the token isn't a signed JWT; make one with a JWT library, or `fanout token`";

  test("is given for invalid headers", async () => {
    const claims = part({ ...EVERYTHING, exp: now + 60 });
    await readToken(await signed({ alg: "HS256" }, claims), settings);
    const headers = [
      { alg: "HS256", crit: ["exp"], exp: now },
      { alg: "HS256", crit: [] },
      { alg: "HS256", crit: "b64" },
      { alg: 256 },
      ["HS256"],
      "HS256",
      null,
    ];
    for (const header of headers) expect(await fault(await signed(header, claims))).toBe(notJwt);
    const unencoded = { alg: "HS256", crit: ["b64"], b64: false };
    expect(await fault(await signed(unencoded, claims))).toBe(notJwt);
    expect(await fault(await signed(unencoded, JSON.stringify(EVERYTHING)))).toBe(notJwt);
  });

  test("is given for encrypted tokens", async () => {
    const encrypted = await new CompactEncrypt(new TextEncoder().encode(JSON.stringify(EVERYTHING)))
      .setProtectedHeader({ alg: "dir", enc: "A256GCM" })
      .encrypt(key.slice(0, 32));
    expect(await fault(encrypted)).toBe(notJwt);
  });

  test("is given for claims that aren't an object", async () => {
    for (const payload of ["", "null", "1", '"text"', "[]", "{", `{"exp":${now + 60}`, "\u0000"]) {
      expect(await fault(await mint(payload))).toBe(notJwt);
    }
  });

  test("is given for anything else", async () => {
    for (const token of ["", ".", "..", "...", "....", "a.b.c", "a.b", " ", "\n", "\u{1f600}", "undefined"]) {
      expect(await fault(token)).toBe(notJwt);
    }
    const parts = fc.array(fc.oneof(fc.base64String(), fc.json().map(part)), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.string(),
          parts.map((some) => some.join(".")),
        ),
        async (token) => {
          await fault(token);
        },
      ),
    );
  });
});

describe("a length", () => {
  /** Makes a valid token of a given length in bytes. */
  async function long(bytes: number): Promise<string> {
    for (let length = Math.floor((bytes - 110) * 0.75); ; length++) {
      const token = await mint({ exp: now + 60, jti: "x".repeat(length) });
      if (token.length >= bytes) return token;
    }
  }

  test(`may be ${MAX_TOKEN_BYTES} bytes`, async () => {
    const token = await long(MAX_TOKEN_BYTES);
    expect(token).toHaveLength(MAX_TOKEN_BYTES);
    await readToken(token, settings);
  });

  test("can't be longer, whatever the token contains", async () => {
    const tooLong = `forbidden: a token has at most ${MAX_TOKEN_BYTES} bytes`;
    expect(await fault(await long(MAX_TOKEN_BYTES + 1))).toBe(tooLong);
    expect(await fault(await long(1_000_000))).toBe(tooLong);
    for (const character of ["x", ".", "\u{1f600}", "\u0000"]) {
      expect(await fault(character.repeat(MAX_TOKEN_BYTES + 1))).toBe(tooLong);
    }
  });
});

describe("channels", () => {
  const wrong = ["news", "*", [1], [["news"]], ["news", null], { 0: "news", length: 1 }, {}, 0, 1, true, false, ""];

  test.each(["subscribe", "announce", "enter"])("in '%s' must be a list of strings", async (claim) => {
    for (const value of wrong) {
      expect(await fault(await mint({ ...EVERYTHING, [claim]: value }))).toBe(
        `forbidden: the token's claim '${claim}' isn't a list of channels, such as ["news"]`,
      );
    }
    const channels = fc.anything({ withNullPrototype: false }).filter((value) => {
      const told: unknown = JSON.parse(JSON.stringify({ value })).value ?? null;
      return told !== null && !(Array.isArray(told) && told.every((name) => typeof name === "string"));
    });
    await fc.assert(
      fc.asyncProperty(channels, async (value) => {
        const token = await mint({ [claim]: value });
        if (token.length <= MAX_TOKEN_BYTES) expect(await fault(token)).toContain(claim);
      }),
    );
  });

  test("come from the token's own claims, and from the last of duplicates", async () => {
    const exp = now + 60;
    const tokens = [
      `{"exp":${exp},"__proto__":{"subscribe":["*"],"announce":["*"]}}`,
      `{"exp":${exp},"constructor":{"prototype":{"subscribe":["*"]}}}`,
      `{"exp":${exp},"subscribe":["*"],"announce":["*"],"subscribe":[],"announce":[]}`,
      `{"exp":${exp},"subscribe":["*"],"\\u0073ubscribe":[]}`,
    ];
    for (const claims of tokens) {
      expect(await readToken(await mint(claims), settings)).toEqual({
        subscribe: [],
        announce: [],
        until: (exp + 5) * 1000,
        key: current,
      });
    }
    expect(await fault(await mint(`{"__proto__":{"exp":${exp}}}`))).toBe(
      "forbidden: the token's claim 'exp' is missing; add it",
    );
    expect(await fault(await mint(`{"exp":${exp},"exp":1}`))).toBe("expired: the token has expired; get a new one");
    expect({}).not.toHaveProperty("subscribe");
  });
});
