/**
 * Keys are rotated while clients use the server: they stay connected, reconnect, renew their tokens and announce, and
 * their users notice nothing. A deploy restarts the server, so each step ends all connections.
 */
import { createServer } from "node:http";
import { type CryptoKey, exportJWK, generateKeyPair, type JWK } from "jose";
import { expect, onTestFinished, test } from "vitest";
import { type Change, Fanout, type Subscription } from "../../src/client/fanout.ts";
import { Network } from "../../tools/faults/network.ts";
import { bearer, EVERYTHING, mint, SECRET, seconds, sign } from "../runtime/support/mint.ts";
import { listening } from "./support/listening.ts";
import { type Served, serveInTest } from "./support/serve.ts";
import { TestClient } from "./support/test-client.ts";

const NEXT = "the next secret of the tests, of more than 32 bytes";

/** Users of a server that restarts at other addresses. */
class Users {
  readonly #network: Network;
  readonly #reader: Subscription;
  readonly #writer: Fanout;
  readonly #texts: string[] = [];
  /** What a user would notice: errors, gaps, and subscriptions that ended. */
  readonly noticed: unknown[] = [];
  #announced = 0;

  private constructor(network: Network, token: () => Promise<string>) {
    this.#network = network;
    const onState = (change: Change) => {
      if (change.state === "failed") this.noticed.push(change);
    };
    const [reading, writing] = [0, 1].map(() => new Fanout(network.url, { token, onState }));
    if (!reading || !writing) throw new Error("there are two clients");
    onTestFinished(() => {
      for (const client of [reading, writing]) client.close();
    });
    this.#writer = writing;
    this.#reader = reading.subscribe("news", {
      onMessage: ({ text }) => this.#texts.push(text),
      onGap: (gap) => this.noticed.push(gap),
      onState: (_, reason, error) => {
        if (error) this.noticed.push(reason);
      },
    });
  }

  /** @param token returns a token, as the users' own server does */
  static async start(server: Served, token: () => Promise<string>): Promise<Users> {
    const network = await Network.start(() => server.url);
    onTestFinished(() => network.stop());
    const users = new Users(network, token);
    await users.use();
    return users;
  }

  /** Breaks all connections, so that clients reconnect with tokens. */
  cut(): void {
    this.#network.cut();
  }

  /** Announces a message, which has to arrive in order after all before, without any gap. */
  async use(): Promise<void> {
    await expect.poll(() => this.#reader.state).toBe("subscribed");
    this.#announced += 1;
    await this.#writer.announce("news", String(this.#announced));
    const all = Array.from({ length: this.#announced }, (_, i) => String(i + 1));
    await expect.poll(() => this.#texts).toEqual(all);
    expect(this.noticed).toEqual([]);
  }
}

/** Returns the status of a request with a token. */
async function status({ url }: Served, token: string): Promise<number> {
  const response = await fetch(`${url.replace("ws:", "http:")}/news`, {
    method: "POST",
    body: "",
    headers: bearer(token),
  });
  await response.text();
  return response.status;
}

test("a secret is rotated with TOKEN_SECRET_PREVIOUS, and users notice nothing", async () => {
  const settings: Record<string, string> = { TOKEN_SECRET: SECRET };
  const server = await serveInTest({ settings });
  let signing = SECRET;
  const users = await Users.start(server, () => mint(EVERYTHING, signing));
  const old = await mint(EVERYTHING);

  // The server knows both secrets before the issuer uses the new one.
  Object.assign(settings, { TOKEN_SECRET: NEXT, TOKEN_SECRET_PREVIOUS: SECRET });
  await server.restart();
  await users.use();
  const stays = await TestClient.connect(`${server.url}/other`, { headers: bearer(old) });
  signing = NEXT;
  await users.use();
  users.cut();
  await users.use();

  // Connections with old tokens announce, renew with a new one, and reconnect with the old one.
  stays.send("announce other still here");
  expect(await stays.line()).toBe("other!still here");
  stays.send(`token ${await mint(EVERYTHING, NEXT)}`);
  expect(await stays.line()).toMatch(/^debug!token accepted until \d+$/);
  stays.send(`token ${old}`);
  expect(await stays.line()).toMatch(/^debug!token accepted until \d+$/);
  (await TestClient.connect(`${server.url}/other`, { headers: bearer(old) })).close();

  // When the last old token has expired, the old secret goes.
  delete settings.TOKEN_SECRET_PREVIOUS;
  await server.restart();
  await users.use();
  expect(await status(server, old)).toBe(401);
  const renewed = await TestClient.connect(`${server.url}/other`, { headers: bearer(await mint(EVERYTHING, NEXT)) });
  renewed.send(`token ${old}`);
  expect(await renewed.line()).toMatch(/^debug!error forbidden token: the token's signature is wrong/);
  renewed.send("announce other still here");
  expect(await renewed.line()).toBe("other!still here");
});

test("a secret is replaced at once: users with a new token notice nothing, and old tokens are refused", async () => {
  const settings: Record<string, string> = { TOKEN_SECRET: SECRET };
  const server = await serveInTest({ settings });
  let signing = SECRET;
  const users = await Users.start(server, () => mint(EVERYTHING, signing));
  const old = await mint(EVERYTHING);
  signing = settings.TOKEN_SECRET = NEXT;
  await server.restart();
  expect(await status(server, old)).toBe(401);
  await expect(TestClient.connect(`${server.url}/news`, { headers: bearer(old) })).rejects.toThrow("401");
  await users.use();
});

/** Lets the test set the server's clock forward with `/!later?<seconds>`, for the time between two fetches of keys. */
const WITH_CLOCK = `import worker, { Channel } from "./worker.js";
export { Channel };
const now = Date.now;
let later = 0;
Date.now = () => now() + later;
export default {
  async fetch(request, env) {
    const { pathname, search } = new URL(request.url);
    if (pathname !== "/!later") return worker.fetch(request, env);
    later += Number(search.slice(1)) * 1_000;
    return new Response("later");
  },
};`;

test("an issuer rotates its key, and users notice nothing", async () => {
  const pairs = await Promise.all([0, 1].map(() => generateKeyPair("ES256", { extractable: true })));
  const jwks = await Promise.all(
    pairs.map(async ({ publicKey }, i): Promise<JWK> => ({ ...(await exportJWK(publicKey)), kid: `k${i}` })),
  );
  let published = jwks.slice(0, 1);
  let fetches = 0;
  const issuer = createServer((_, response) => {
    fetches += 1;
    response.setHeader("Content-Type", "application/json");
    response.end(JSON.stringify({ keys: published }));
  });
  const url = await listening(issuer);
  onTestFinished(() => void issuer.close());
  const settings = { TOKEN_JWKS_URL: `${url}/keys`, TOKEN_AUDIENCE: "fanout" };
  const server = await serveInTest({ settings, around: WITH_CLOCK });
  const later = (by: number) => fetch(`${server.url.replace("ws:", "http:")}/!later?${by}`);
  const issue = (i: number, key: CryptoKey | undefined = pairs[i]?.privateKey) => {
    if (!key) throw new Error(`there is no key ${i}`);
    return sign({ alg: "ES256", kid: `k${i}` }, { ...EVERYTHING, aud: "fanout", exp: seconds() + 36_000 }, key);
  };
  let signing = 0;
  const users = await Users.start(server, () => issue(signing));
  const stays = await TestClient.connect(`${server.url}/other`, { headers: bearer(await issue(0)) });
  expect(fetches).toBe(1);

  // The issuer publishes both keys, and signs with the new one at once: the server fetches the keys again.
  published = jwks;
  signing = 1;
  await later(60);
  stays.send(`token ${await issue(1)}`);
  expect(await stays.line()).toMatch(/^debug!token accepted until \d+$/);
  users.cut();
  await users.use();
  expect(await status(server, await issue(0))).toBe(400);
  expect(fetches).toBe(2);

  // Then only the new one. Known keys are refreshed in the background after ten minutes.
  published = jwks.slice(1);
  await later(601);
  expect(await status(server, await issue(1))).toBe(400);
  await expect.poll(() => fetches).toBe(3);
  users.cut();
  await users.use();
  stays.send("announce other still here");
  expect(await stays.line()).toBe("other!still here");
  // An unknown key causes another fetch, but not within 30 seconds: it may be new.
  expect(await status(server, await issue(0))).toBe(503);
  await later(31);
  expect(await status(server, await issue(0))).toBe(401);
  await users.use();
});
