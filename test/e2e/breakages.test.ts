/**
 * Breaks servers in the ways that operators meet, and checks that each shows in the log or the metrics under the name at
 * which docs/runbook.md explains it.
 */
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { generateKeyPair } from "jose";
import { describe, expect, onTestFinished, test } from "vitest";
import { bearer, EVERYTHING, mint, SECRET, seconds, sign } from "../runtime/support/mint.ts";
import type { RuntimeOptions } from "./support/runtime.ts";
import { type Served, serve } from "./support/serve.ts";
import { TestClient } from "./support/test-client.ts";

const runbook = await readFile(new URL("../../docs/runbook.md", import.meta.url), "utf8");

const OTHER_SECRET = "another secret of the tests, of more than 32 bytes";

/** Lets tests read the metrics of servers with tokens. */
const OPERATOR = { operate: true, subscribe: ["*"] };

/** A server that its operator watches. */
class Broken {
  readonly log: Record<string, unknown>[] = [];
  #server: Served | undefined;

  static async start(options: RuntimeOptions = {}): Promise<Broken> {
    const broken = new Broken();
    broken.#server = await serve({ ...options, onLine: (line) => broken.#read(line) });
    onTestFinished(() => broken.#server?.end());
    return broken;
  }

  #read(line: string): void {
    const [json] = /\{"event".*\}/.exec(line) ?? [];
    if (json !== undefined) this.log.push(JSON.parse(json));
  }

  get server(): Served {
    if (!this.#server) throw new Error("the server isn't started");
    return this.#server;
  }

  get url(): string {
    return this.server.url;
  }

  async ask(path: string, init: RequestInit = {}): Promise<number> {
    const response = await fetch(this.url.replace("ws:", "http:") + path, init);
    await response.text();
    return response.status;
  }

  /** Waits until the log has a line with these properties, which the runbook must explain. */
  async logs(line: { event: string } & Record<string, unknown>): Promise<void> {
    expect(runbook).toContain(`\`${line.event}\``);
    await expect.poll(() => this.log).toContainEqual(expect.objectContaining(line));
  }

  /** Waits until a metric with these labels isn't zero. */
  async counts(metric: string, secret?: string): Promise<void> {
    const [name = ""] = metric.split("{");
    expect(runbook).toContain(`\`${name}`);
    const headers = secret === undefined ? {} : bearer(await mint(OPERATOR, secret));
    const value = async () => {
      const response = await fetch(`${this.url.replace("ws:", "http:")}/-/metrics`, { headers });
      const line = (await response.text()).split("\n").find((sample) => sample.startsWith(`${metric} `));
      return Number(line?.split(" ").at(-1));
    };
    await expect.poll(value).toBeGreaterThan(0);
  }
}

/** Replaces the class of objects by one with other methods. */
function objectsWith(methods: string): string {
  return `export { default } from "./worker.js";
import { Channel as Right } from "./worker.js";
export class Channel extends Right { ${methods} }`;
}

describe("tokens:", () => {
  const settings = { TOKEN_SECRET: SECRET };

  test("a wrong secret", async () => {
    const broken = await Broken.start({ settings });
    expect(await broken.ask("/news", { headers: bearer(await mint(EVERYTHING, OTHER_SECRET)) })).toBe(401);
    const why = "the token's signature is wrong; sign it with the key of this server";
    await broken.logs({ event: "refused.forbidden", status: 401, code: "forbidden", command: "connect", why });
    await broken.counts('fanout_requests_refused_total{code="forbidden"}', SECRET);
  });

  test("a secret that was rotated without the previous one", async () => {
    const own = { ...settings };
    const broken = await Broken.start({ settings: own });
    const old = bearer(await mint({ ...EVERYTHING, sub: "ann" }));
    (await TestClient.connect(`${broken.url}/news`, { headers: old })).close();
    own.TOKEN_SECRET = OTHER_SECRET;
    await broken.server.restart();
    expect(await broken.ask("/news", { method: "POST", body: "x", headers: old })).toBe(401);
    await broken.logs({ event: "refused.forbidden", status: 401, code: "forbidden", command: "announce" });
    await broken.counts('fanout_requests_refused_total{code="forbidden"}', OTHER_SECRET);
  });

  test("tokens that seem expired, because the issuer's clock is wrong", async () => {
    const broken = await Broken.start({ settings });
    const late = bearer(await mint({ ...EVERYTHING, sub: "bob", exp: seconds() - 30 }));
    expect(await broken.ask("/news", { headers: late })).toBe(401);
    await broken.logs({ event: "refused.expired", status: 401, code: "expired", sub: "bob" });
    await broken.counts('fanout_requests_refused_total{code="expired"}', SECRET);
  });

  test("a revoked user who connects again and again", async () => {
    const broken = await Broken.start({ settings });
    const ann = bearer(await mint({ ...EVERYTHING, sub: "ann", iat: seconds() - 10 }));
    const client = await TestClient.connect(`${broken.url}/news`, { headers: ann });
    const operator = bearer(await mint(OPERATOR));
    expect(await broken.ask("/-/revoke", { method: "POST", body: '{"sub":"ann"}', headers: operator })).toBe(200);
    expect(await client.closed).toMatchObject({ code: 1008, reason: expect.stringMatching(/^revoked: /) });
    expect(await broken.ask("/news", { headers: ann })).toBe(401);
    await broken.logs({ event: "closes.revoked", reason: "revoked", code: "revoked", object: "news" });
    await broken.logs({ event: "refused.revoked", status: 401, code: "revoked", sub: "ann" });
    await broken.counts('fanout_connections_closed_total{reason="revoked",code="revoked"}', SECRET);
  });

  test("keys that can't be fetched", async () => {
    const closed = createServer();
    await new Promise<void>((resolve) => closed.listen(0, "127.0.0.1", resolve));
    const address = closed.address();
    const port = typeof address === "object" ? address?.port : undefined;
    await new Promise((resolve) => closed.close(resolve));
    const keys = `http://127.0.0.1:${port}/keys`;
    const broken = await Broken.start({ settings: { TOKEN_JWKS_URL: keys, TOKEN_AUDIENCE: "fanout" } });
    const { privateKey } = await generateKeyPair("ES256");
    const token = await sign({ alg: "ES256" }, { ...EVERYTHING, aud: "fanout" }, privateKey);
    expect(await broken.ask("/news", { headers: bearer(token) })).toBe(503);
    await broken.logs({ event: "failures.keys", kind: "keys", code: "unavailable" });
    await broken.logs({ event: "refused.unavailable", status: 503, code: "unavailable", command: "connect" });
  });
});

describe("settings:", () => {
  test("a setting out of range", async () => {
    const broken = await Broken.start({ settings: { HISTORY_SECONDS: "2 minutes" } });
    expect(await broken.ask("/-/health")).toBe(500);
    const why = expect.stringMatching(/^HISTORY_SECONDS must be/);
    await broken.logs({ event: "failures.settings", status: 500, kind: "settings", code: "unavailable", why });
  });

  test("a mount without its binding", async () => {
    const broken = await Broken.start({ lacks: "binding" });
    expect(await broken.ask("/news")).toBe(500);
    const why = expect.stringMatching(/^the binding CHANNEL is missing/);
    await broken.logs({ event: "failures.settings", kind: "settings", code: "unavailable", why });
  });

  test("a connection limit that is reached", async () => {
    const broken = await Broken.start({ settings: { CLIENT_LIMIT: "1" } });
    await TestClient.connect(`${broken.url}/news`);
    const rejected = TestClient.open(`${broken.url}/news`);
    expect(await rejected.line()).toBe("debug!busy");
    await broken.logs({ event: "closes.busy", reason: "busy", code: "unavailable", object: "news" });
    await broken.counts("fanout_connections_rejected_total");
  });
});

describe("objects:", () => {
  test("an object that always throws", async () => {
    const methods = `call(kind, ...rest) {
      if (this.ctx.id.name === "broken") throw new Error("a bug");
      return super.call(kind, ...rest);
    }`;
    const broken = await Broken.start({ around: objectsWith(methods) });
    expect(await broken.ask("/broken", { method: "POST", body: "x" })).toBe(503);
    await broken.logs({ event: "refused.uncertain", status: 503, code: "uncertain", command: "announce" });
    const client = await TestClient.connect(`${broken.url}/home`);
    client.send("subscribe broken");
    expect(await client.line()).toMatch(/^debug!error unavailable subscribe broken: /);
    const cause = "Error: a bug";
    await broken.logs({
      event: "failures.link",
      kind: "link",
      code: "unavailable",
      to: "broken",
      object: "home",
      cause,
    });
    await broken.logs({ event: "refused.unavailable", code: "unavailable", command: "subscribe", object: "home" });
    await broken.counts('fanout_call_failures_total{kind="link",code="unavailable"}');
  });

  test("a Worker that throws", async () => {
    const around = `import worker from "./worker.js";
export { Channel } from "./worker.js";
const broken = { getByName() { throw new Error("a bug"); } };
const isBroken = ({ url }) => new URL(url).pathname === "/broken";
export default {
  fetch: (request, env) => worker.fetch(request, isBroken(request) ? { ...env, CHANNEL: broken } : env),
};`;
    const broken = await Broken.start({ around });
    expect(await broken.ask("/broken", { method: "POST", body: "x" })).toBe(500);
    const why = expect.stringMatching(/^Error: a bug\n/);
    await broken.logs({ event: "failures.request", status: 500, kind: "request", code: "uncertain", why });
  });

  test("storage that refuses rows", { tags: ["full-storage"] }, async () => {
    const methods = `constructor(state, env) {
      super(state, env);
      const bound = (target, others) => new Proxy(target, { get: (_, name) => {
        if (name in others) return others[name];
        const value = target[name];
        return typeof value === "function" ? value.bind(target) : value;
      } });
      const put = () => { throw new Error("Exceeded allowed rows written"); };
      const storage = bound(state.storage, { kv: bound(state.storage.kv, { put }) });
      Object.defineProperty(this, "ctx", { value: bound(state, { storage }) });
    }`;
    const broken = await Broken.start({ around: objectsWith(methods) });
    await broken.ask("/news", { method: "POST", body: "x" });
    const cause = "Error: Exceeded allowed rows written";
    await broken.logs({ event: "rows.refused", code: "unavailable", object: "news", cause });
    const client = await TestClient.connect(`${broken.url}/news`);
    await broken.counts("fanout_rows_refused_total");
    client.close();
  });
});

describe("clients:", () => {
  test("a slow client", async () => {
    const broken = await Broken.start({ settings: { MAX_BUFFERED_BYTES: "1000000", HISTORY_SECONDS: "0" } });
    const slow = await TestClient.connect(`${broken.url}/news`);
    slow.socket.pause();
    const publisher = await TestClient.connect(`${broken.url}/other`);
    const line = `announce news ${"x".repeat(60_000)}\n`;
    const isClosed = () => broken.log.some(({ event }) => event === "closes.slow");
    for (let i = 0; i < 500 && !isClosed(); i++) {
      publisher.send(line.repeat(10));
      await publisher.ping();
    }
    await broken.logs({ event: "closes.slow", reason: "slow", code: "unavailable", object: "news" });
    await broken.counts('fanout_connections_closed_total{reason="slow",code="unavailable"}');
  });

  test("a publisher that floods", async () => {
    const broken = await Broken.start({ settings: { LINES_PER_SECOND: "20" } });
    const publisher = await TestClient.connect(`${broken.url}/news`);
    publisher.send("announce news x\n".repeat(30));
    expect(await publisher.read(30)).toContainEqual(expect.stringMatching(/^debug!error rate announce news: /));
    publisher.send("announce news x\n".repeat(1_000));
    expect(await publisher.closed).toMatchObject({ code: 1008, reason: expect.stringMatching(/^rate: /) });
    await broken.logs({ event: "closes.rate", reason: "rate", code: "rate", object: "news" });
    await broken.logs({ event: "refused.rate", code: "rate", command: "announce", object: "news" });
    await broken.counts('fanout_connections_closed_total{reason="rate",code="rate"}');
    const headers = { "CF-Connecting-IP": "192.0.2.1" };
    const statuses = await Promise.all(
      Array.from({ length: 20 }, () => broken.ask("/news", { method: "POST", body: "x", headers })),
    );
    expect(statuses).toContain(429);
    await broken.logs({ event: "refused.rate", status: 429, code: "rate", command: "announce" });
    await broken.counts('fanout_requests_refused_total{code="rate"}');
  });

  test("a client that may not announce", async () => {
    const broken = await Broken.start({ settings: { TOKEN_SECRET: SECRET } });
    const reader = await TestClient.connect(`${broken.url}/news`, {
      headers: bearer(await mint({ subscribe: ["*"] })),
    });
    reader.send("announce news x");
    expect(await reader.line()).toMatch(/^debug!error forbidden announce news: /);
    await broken.logs({ event: "refused.forbidden", code: "forbidden", command: "announce", object: "news" });
    await broken.counts('fanout_commands_refused_total{code="forbidden"}', SECRET);
  });
});
