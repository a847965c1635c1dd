/**
 * Public keys of a slow issuer while clients disconnect, in the bare runtime, where a cancelled request loses its fetch,
 * its timers and its promises.
 */
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import { type CryptoKey, exportJWK, generateKeyPair, type JWK } from "jose";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { bearer, EVERYTHING, sign } from "../runtime/support/mint.ts";
import { listening } from "./support/listening.ts";
import type { RuntimeOptions } from "./support/runtime.ts";
import { type Served, serveInTest } from "./support/serve.ts";
import { TestClient } from "./support/test-client.ts";

/** Cancels a request with `?leave=<URL>` when the URL answers, like that of a client that disconnects. */
const AROUND = `import { WorkerEntrypoint } from "cloudflare:workers";
import worker, { Channel } from "./worker.js";
export { Channel };
export class Inner extends WorkerEntrypoint {
  fetch(request) { return worker.fetch(request, this.env); }
}
export default {
  async fetch(request, env, { exports }) {
    const leave = new URL(request.url).searchParams.get("leave");
    if (leave === null) return worker.fetch(request, env);
    const leaving = new AbortController();
    const left = fetch(leave).then(() => {
      leaving.abort();
      return new Response("left", { status: 499 });
    });
    return Promise.race([exports.Inner.fetch(request, { signal: leaving.signal }), left]);
  },
};`;

let privateKey: CryptoKey;
let jwk: JWK;
let token: string;

beforeAll(async () => {
  const pair = await generateKeyPair("ES256", { extractable: true });
  privateKey = pair.privateKey;
  jwk = { ...(await exportJWK(pair.publicKey)), alg: "ES256", kid: "good" };
  token = await issue("good");
});

/** Makes a token that names a key. */
function issue(kid: string): Promise<string> {
  return sign({ alg: "ES256", kid }, { ...EVERYTHING, aud: "fanout" }, privateKey);
}

/** An issuer that answers when the test says so. */
class Issuer {
  asked = 0;
  readonly url: string;
  readonly server: Served;
  readonly #open: ServerResponse[] = [];
  #noticed = () => {};

  private constructor(url: string, server: Served) {
    this.url = url;
    this.server = server;
  }

  static async begin(options: RuntimeOptions = {}): Promise<Issuer> {
    const keys = createServer();
    const url = await listening(keys);
    const settings = { TOKEN_JWKS_URL: `${url}/keys`, TOKEN_AUDIENCE: "fanout" };
    const issuer = new Issuer(url, await serveInTest({ ...options, settings, around: AROUND }));
    keys.on("request", (_, response) => issuer.#take(response));
    onTestFinished(() => {
      keys.closeAllConnections();
      keys.close();
    });
    return issuer;
  }

  #take(response: ServerResponse): void {
    this.asked += 1;
    this.#open.push(response);
    this.#noticed();
  }

  /** Waits for the next request. */
  async next(): Promise<ServerResponse> {
    for (;;) {
      const response = this.#open.shift();
      if (response) return response;
      await new Promise<void>((resolve) => {
        this.#noticed = resolve;
      });
    }
  }

  /** Requests a page that needs a token and no object. */
  async visit(bearing: string, query = ""): Promise<{ status: number; wait: number | undefined }> {
    const url = `${this.server.url.replace("ws:", "http:")}/${query}`;
    const response = await fetch(url, { headers: bearer(bearing) });
    await response.text();
    const wait = response.headers.get("Retry-After");
    return { status: response.status, wait: wait === null ? undefined : Number(wait) };
  }
}

function answer(response: ServerResponse): void {
  response.setHeader("Content-Type", "application/json");
  response.end(JSON.stringify({ keys: [jwk] }));
}

describe.each([
  ["by default", []],
  // Some Workers set this flag for libraries that share promises between requests.
  ["if requests may await other requests' promises", ["no_handle_cross_request_promise_resolution"]],
])("%s,", (_, flags) => {
  test("keys are fetched once for all requests that wait, even if the client whose request started the fetch disconnects", async () => {
    const issuer = await Issuer.begin({ flags });
    const leaver = issuer.visit(token, `?leave=${encodeURIComponent(`${issuer.url}/leave`)}`);
    const asked = [await issuer.next(), await issuer.next()];
    const [keys, leave] = asked.sort((a, b) => (a.req.url ?? "").localeCompare(b.req.url ?? ""));
    expect([keys?.req.url, leave?.req.url]).toEqual(["/keys", "/leave"]);
    const others = Array.from({ length: 20 }, () => issuer.visit(token));
    leave?.end();
    expect(await leaver).toMatchObject({ status: 499 });
    if (keys) answer(keys);
    for (const { status } of await Promise.all(others)) expect(status).toBe(200);
    expect(issuer.asked).toBe(2);
  });
});

test("100 simultaneous junk tokens cause one fetch, whatever the issuer answers", async () => {
  const junk = await Promise.all(Array.from({ length: 100 }, (_, i) => issue(`junk ${i}`)));
  const answers: ((response: ServerResponse) => void)[] = [
    answer,
    (response) => response.writeHead(429, { "Retry-After": "60" }).end("too many"),
    (response) => response.writeHead(500).end("no"),
    (response) => response.end("<html>"),
    (response) => response.writeHead(302, { Location: "/elsewhere" }).end(),
  ];
  for (const say of answers) {
    const issuer = await Issuer.begin();
    const crowd = junk.map((bearing) => issuer.visit(bearing));
    say(await issuer.next());
    for (const { status, wait } of await Promise.all(crowd)) {
      expect([401, 503]).toContain(status);
      if (status === 503) expect(wait).toBeGreaterThan(0);
    }
    const again = await Promise.all(junk.map((bearing) => issuer.visit(bearing)));
    for (const { status, wait } of again) {
      expect(status).toBe(503);
      expect(wait).toBeGreaterThan(20);
    }
    expect(issuer.asked).toBe(1);
  }
});

test("an issuer that stalls in its answer delays requests by at most five seconds", async () => {
  const issuer = await Issuer.begin();
  const waits = [issuer.visit(token), issuer.visit(token)];
  const stalled = await issuer.next();
  stalled.write('{"keys":[');
  const closed = once(stalled, "close");
  for (const { status } of await Promise.all(waits)) expect(status).toBe(503);
  await closed;
  expect(issuer.asked).toBe(1);
});

test("connections and the command 'token' use the Worker's keys", async () => {
  const issuer = await Issuer.begin();
  const connecting = TestClient.connect(`${issuer.server.url}/news`, { headers: bearer(token) });
  answer(await issuer.next());
  const client = await connecting;
  client.send(`token ${await issue("good")}\ntoken ${await issue("junk")}`);
  expect(await client.line()).toMatch(/^debug!token accepted until \d+$/);
  expect(await client.line()).toMatch(/^debug!error unavailable token: the keys that verify tokens are unavailable/);
  client.close();
  expect(issuer.asked).toBe(1);
});
