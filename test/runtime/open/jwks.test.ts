/**
 * Tokens that are verified with public keys: accepted keys and algorithms, which depend on the runtime's cryptography.
 * (`test/unit/auth/key-set.test.ts` covers when keys are fetched.)
 */
import {
  base64url,
  type CryptoKey,
  calculateJwkThumbprint,
  exportJWK,
  exportSPKI,
  generateKeyPair,
  type JWK,
} from "jose";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { TokenSettings } from "../../../src/auth/tokens.ts";
import { NoKeys, TokenError } from "../../../src/auth/verify.ts";
import { verify as readToken } from "../../../src/worker/verification.ts";
import { pass, stopClock } from "../support/clock.ts";
import { EVERYTHING, mint, SECRET, sign } from "../support/mint.ts";
import { unique } from "../support/service.ts";

stopClock();

interface Pair {
  alg: string;
  privateKey: CryptoKey;
  publicKey: CryptoKey;
  jwk: JWK & { kid: string };
}

async function pair(alg: string): Promise<Pair> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const jwk = await exportJWK(publicKey);
  return { alg, privateKey, publicKey, jwk: { ...jwk, alg, kid: await calculateJwkThumbprint(jwk) } };
}

/** Makes a token with a private key, which names the public one. */
function issue({ alg, privateKey, jwk: { kid } }: Pair, claims: Record<string, unknown> = EVERYTHING) {
  return sign({ alg, kid }, claims, privateKey);
}

let first: Pair;
let second: Pair;

beforeAll(async () => {
  [first, second] = await Promise.all([pair("ES256"), pair("ES256")]);
});

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

/** A fake key server, with the number of its requests. */
interface KeyServer {
  settings: TokenSettings;
  asked: number;
  answer: (signal: AbortSignal | null | undefined) => Response | Promise<Response>;
}

function keyServer(...jwks: unknown[]): KeyServer {
  const url = `https://${unique("keys")}.test/jwks.json`;
  const server: KeyServer = {
    settings: { keys: url, audience: undefined },
    asked: 0,
    answer: () => Response.json({ keys: jwks }),
  };
  vi.stubGlobal("fetch", async (input: RequestInfo, init?: RequestInit) => {
    expect(new Request(input).url).toBe(url);
    server.asked += 1;
    return server.answer(init?.signal);
  });
  return server;
}

/** Returns the code and the message of a token's error. */
async function fault(token: string, { settings }: KeyServer): Promise<string> {
  const outcome = await readToken(token, settings).catch((error: unknown) => error);
  if (!(outcome instanceof TokenError)) throw new Error(`taken, or failed: ${JSON.stringify(outcome)}`);
  return `${outcome.code}: ${outcome.message}`;
}

describe("a token made with a private key", () => {
  test.each([
    ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
    ...["ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
  ])("of %s is good", async (alg) => {
    const made = await pair(alg);
    const server = keyServer(first.jwk, made.jwk);
    expect(await readToken(await issue(made), server.settings)).toMatchObject(EVERYTHING);
    // Also without naming the key, because there is only one of its kind.
    if (alg !== "ES256") await readToken(await sign({ alg }, EVERYTHING, made.privateKey), server.settings);
    expect(server.asked).toBe(1);
  });

  test("needs valid claims too", async () => {
    const server = keyServer(first.jwk);
    const settings = { ...server.settings, audience: "fanout" };
    await readToken(await issue(first, { aud: "fanout" }), settings);
    await expect(readToken(await issue(first), settings)).rejects.toMatchObject({
      code: "forbidden",
      message: "the token's claim 'aud' is missing; add it",
    });
    expect(await fault(await issue(first, { exp: 1 }), server)).toBe("expired: the token has expired; get a new one");
    expect(await fault(await issue(first, { exp: undefined }), server)).toBe(
      "forbidden: the token's claim 'exp' is missing; add it",
    );
    expect(await fault(await issue(first, { subscribe: "*" }), server)).toBe(
      "forbidden: the token's claim 'subscribe' isn't a list of channels, such as [\"news\"]",
    );
  });

  test("must be made with the key that it names", async () => {
    const server = keyServer(first.jwk, second.jwk);
    const forged = await sign({ alg: "ES256", kid: second.jwk.kid }, EVERYTHING, first.privateKey);
    expect(await fault(forged, server)).toBe(
      "forbidden: the token's signature is wrong; sign it with the key of this server",
    );
    const nameless = await sign({ alg: "ES256" }, EVERYTHING, first.privateKey);
    expect(await fault(nameless, server)).toBe("forbidden: the token doesn't name a key that this server knows");
  });

  test("can't contain its own key", async () => {
    const server = keyServer(second.jwk);
    const { kid: _, ...jwk } = first.jwk;
    for (const more of [{ jwk }, { jku: "https://evil.test/" }, { x5u: "https://evil.test/" }, { x5c: [] }]) {
      const header = { alg: "ES256", kid: second.jwk.kid, ...more };
      expect(await fault(await sign(header, EVERYTHING, first.privateKey), server)).toBe(
        "forbidden: the token's signature is wrong; sign it with the key of this server",
      );
    }
  });
});

describe("a token made with another key", () => {
  const notAccepted = "forbidden: the token's algorithm isn't accepted by this server; with a secret, use HS256";

  test("as a secret, such as the public key itself, is refused", async () => {
    const rsa = await pair("RS256");
    const oct = { kty: "oct", k: base64url.encode(SECRET), alg: "HS256", kid: "oct" };
    const server = keyServer(rsa.jwk, oct);
    await readToken(await issue(rsa), server.settings);
    const spki = await exportSPKI(rsa.publicKey);
    const secrets = [spki, spki.trim(), JSON.stringify(rsa.jwk), rsa.jwk.n ?? "", SECRET];
    for (const secret of secrets) {
      for (const alg of ["HS256", "HS384", "HS512"]) {
        for (const kid of [rsa.jwk.kid, "oct", undefined]) {
          const key = new TextEncoder().encode(secret.padEnd(64));
          expect(await fault(await sign({ alg, kid }, EVERYTHING, key), server)).toBe(notAccepted);
        }
      }
      expect(await fault(await mint(EVERYTHING, secret), server)).toBe(notAccepted);
    }
  });

  test("is refused without fetching keys", async () => {
    const server = keyServer(first.jwk);
    expect(await fault(await mint(EVERYTHING), server)).toBe(notAccepted);
    for (const token of ["", "...", "a.b.c", "x".repeat(5_000)]) await fault(token, server);
    expect(server.asked).toBe(0);
  });
});

describe("keys", () => {
  test("are fetched once for many tokens", async () => {
    const server = keyServer(first.jwk, second.jwk);
    for (const made of [first, second, first]) {
      expect(await readToken(await issue(made), server.settings)).toMatchObject(EVERYTHING);
    }
    expect(await fault(`${(await issue(first)).slice(0, -9)}AAAAAAAAA`, server)).toBe(
      "forbidden: the token's signature is wrong; sign it with the key of this server",
    );
    expect(server.asked).toBe(1);
  });

  const failures: [what: string, answer: KeyServer["answer"]][] = [
    ["answered with 404 and keys", () => Response.json({ keys: [first.jwk] }, { status: 404 })],
    ["answered with a broken key", () => Response.json({ keys: [{ ...first.jwk, x: "AA", y: "AA" }] })],
    [
      "cut off",
      () =>
        new Response(
          new ReadableStream({
            start(stream) {
              stream.enqueue(new TextEncoder().encode('{"keys":['));
              stream.error(new Error("cut off"));
            },
          }),
        ),
    ],
  ];

  test.each(failures)("that are %s make all tokens fail, until they are available", async (_, answer) => {
    const server = keyServer(first.jwk);
    const { answer: good } = server;
    server.answer = answer;
    for (let i = 0; i < 2; i++) {
      await expect(readToken(await issue(first), server.settings)).rejects.toThrow(NoKeys);
    }
    server.answer = good;
    pass(601);
    expect(await readToken(await issue(first), server.settings)).toMatchObject(EVERYTHING);
  });

  test("of one issuer aren't used for another", async () => {
    const one = keyServer(first.jwk);
    await readToken(await issue(first), one.settings);
    const other = keyServer(second.jwk);
    expect(await fault(await issue(first), other)).toBe(
      "forbidden: the token doesn't name a key that this server knows",
    );
    await readToken(await issue(second), other.settings);
  });
});
