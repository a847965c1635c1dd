/** The Worker checks tokens before it calls any object. */
import { exports } from "cloudflare:workers";
import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { isGrants } from "../../../src/auth/grants.ts";
import { fingerprintsOf, MAX_TOKEN_BYTES } from "../../../src/auth/tokens.ts";
import worker from "../../../src/worker.ts";
import { Client } from "../support/client.ts";
import { noAnnouncement, noSubscription } from "../support/connections.ts";
import { bearer, EVERYTHING, mint, SECRET, seconds } from "../support/mint.ts";
import { settleQuickly, unique } from "../support/service.ts";

settleQuickly();

const locked = { TOKEN_SECRET: SECRET };

const untouchable = new Proxy(exports.Channel, {
  get: () => {
    throw new Error("an object was touched");
  },
});

interface Answer {
  status: number;
  code: string | null;
  said: string;
}

/**
 * Returns the Worker's response, which is the same with and without an upgrade, and expects that no object is called.
 */
async function answer(
  path: string,
  headers: Record<string, string> = {},
  variables: Record<string, unknown> = locked,
): Promise<Answer> {
  const env = { CHANNEL: untouchable, ...variables };
  const [plain, upgrade] = await Promise.all(
    [{}, { Upgrade: "websocket" }].map(async (more) => {
      const request = new Request(`http://fanout.test${path}`, { headers: { ...headers, ...more } });
      const response = await worker.fetch(request, env);
      expect(response.headers.get("WWW-Authenticate")).toBe(response.status === 401 ? "Bearer" : null);
      const code = response.headers.get("Fanout-Error");
      return { status: response.status, code, said: await response.text() };
    }),
  );
  if (!plain || !upgrade) throw new Error("there is no answer");
  expect(plain).toEqual(upgrade);
  // One sentence on one line.
  expect(plain.said).toMatch(/^[A-Z].*\.\n$/);
  expect(plain.said).not.toContain(SECRET);
  return plain;
}

/** Expects that the Worker finds no token in a request. */
async function expectNoToken(path: string, headers: Record<string, string> = {}): Promise<void> {
  const { status, code, said } = await answer(path, headers);
  expect([status, code]).toEqual([401, "forbidden"]);
  expect(said).toMatch(/^A token is missing; send it as/);
  for (const way of ["Authorization: Bearer", "fanout, <token>", "?token="]) expect(said).toContain(way);
}

/** Upgrades through the real Worker and real objects. */
function upgrade(path: string, headers: Record<string, string> = {}): Promise<Response> {
  return exports.default.fetch(`http://fanout.test${path}`, {
    headers: { Upgrade: "websocket", ...headers },
  });
}

async function expectWelcome(response: Response, protocol: string | null): Promise<void> {
  expect(response.status).toBe(101);
  expect(response.headers.get("Sec-WebSocket-Protocol")).toBe(protocol);
  response.webSocket?.accept();
  response.webSocket?.close();
}

describe("a token", () => {
  const protocols = (list: string) => ({ "Sec-WebSocket-Protocol": list });

  test("may be in the header, with any case of its scheme", async () => {
    const token = await mint(EVERYTHING);
    for (const value of [`Bearer ${token}`, `bearer ${token}`, `BEARER   ${token}`]) {
      await expectWelcome(await upgrade(`/${unique("room")}`, { Authorization: value }), null);
    }
  });

  test("may be in the subprotocols in any order, of which 'fanout' is chosen", async () => {
    const token = await mint(EVERYTHING);
    for (const list of [`fanout, ${token}`, `fanout,${token}`, `${token}, fanout`]) {
      await expectWelcome(await upgrade(`/${unique("room")}`, protocols(list)), "fanout");
    }
    const both = { ...bearer(token), ...protocols("fanout") };
    await expectWelcome(await upgrade(`/${unique("room")}`, both), "fanout");
  });

  test("may be in the query, next to other parameters", async () => {
    const token = await mint(EVERYTHING);
    for (const query of [`token=${token}`, `a=b&token=${token}&c`]) {
      await expectWelcome(await upgrade(`/${unique("room")}?${query}`), null);
    }
  });

  test("is needed for the welcome page, on '/' and on channels that it grants", async () => {
    const headers = bearer(await mint({ subscribe: ["news/*"] }));
    const told = await exports.default.fetch("http://fanout.test/", { headers });
    expect([told.status, await told.text()]).toEqual([200, expect.stringContaining("WebSocket")]);
    const asked = await exports.default.fetch("http://fanout.test/news/today", { method: "HEAD", headers });
    expect(asked.status).toBe(200);
  });

  test("is needed on every path", async () => {
    for (const path of ["/", "/all", "/news", "/?a=b", "/favicon.ico"]) await expectNoToken(path);
  });

  test("isn't accepted anywhere else", async () => {
    const token = await mint(EVERYTHING);
    for (const value of ["Bearer", "Bearer ", `Basic ${token}`, token, `Bearer${token}`, `Bearer ${token} x`]) {
      await expectNoToken("/", { Authorization: value });
    }
    for (const list of ["", "fanout", "fanout, fanout", token, `Fanout, ${token}`]) {
      await expectNoToken("/", protocols(list));
    }
    await expectNoToken(`/?Token=${token}`, { Cookie: `token=${token}` });
  });

  test("that is invalid is refused with the reason", {
    tags: ["status-401", "error-forbidden", "token-refused"],
  }, async () => {
    const bad: [token: string, code: string, why: string][] = [
      [await mint({ exp: seconds() - 60 }), "expired", "The token has expired; get a new one"],
      [
        await mint({ nbf: seconds() + 60 }),
        "forbidden",
        "The token's claim 'nbf' is in the future; check the clock of its issuer",
      ],
      [
        await mint(EVERYTHING, "another secret of more than 32 bytes"),
        "forbidden",
        "The token's signature is wrong; sign it with the key of this server",
      ],
      [
        await mint({ subscribe: "news" }),
        "forbidden",
        "The token's claim 'subscribe' isn't a list of channels, such as [\"news\"]",
      ],
      ["x".repeat(MAX_TOKEN_BYTES + 1), "forbidden", `A token has at most ${MAX_TOKEN_BYTES} bytes`],
      ["nonsense", "forbidden", "The token isn't a signed JWT; make one with a JWT library, or `fanout token`"],
    ];
    for (const [token, code, why] of bad) {
      const expected = { status: 401, code, said: `${why}.\n` };
      expect(await answer("/", bearer(token))).toEqual(expected);
      expect(await answer("/", protocols(`fanout, ${token}`))).toEqual(expected);
      expect(await answer(`/?token=${token}`)).toEqual(expected);
    }
    expect(await answer("/?token=")).toMatchObject({ status: 401 });
  });

  test("that is invalid is refused even if the request has another one", async () => {
    const good = await mint(EVERYTHING);
    expect(await answer(`/?token=${good}`, bearer("nonsense"))).toMatchObject({ status: 401 });
    expect(await answer(`/?token=${good}`, protocols("fanout, nonsense"))).toMatchObject({ status: 401 });
    const both = { ...bearer("nonsense"), ...protocols(`fanout, ${good}`) };
    expect(await answer("/", both)).toMatchObject({ status: 401 });
  });

  test("that doesn't grant the channel of the path is refused", { tags: ["status-403", "token-refused"] }, async () => {
    const headers = bearer(await mint({ subscribe: ["news/*", "caf\u00e9"], announce: ["*"] }));
    const refusal = {
      status: 403,
      code: "forbidden",
      said: "Your token doesn't grant this channel; its claim 'subscribe' has to list it.\n",
    };
    for (const path of ["/news", "/sport", "/News/x", "/news%2", "/cafe", "/*", "/%61ll/"]) {
      const expected = path === "/news%2" ? { status: 400, code: "invalid" } : refusal;
      expect(await answer(path, headers)).toMatchObject(expected);
    }
    for (const path of ["/", "/all", "/%61ll", "/news/today", "/news%2Ftoday", "/caf%C3%A9"]) {
      await expectWelcome(await upgrade(path, headers), null);
    }
  });

  test("gets a response, whatever it contains", async () => {
    const value = fc.string().map((text) => encodeURIComponent(text));
    await fc.assert(
      fc.asyncProperty(value, async (text) => {
        expect(await answer(`/?token=${text}`)).toMatchObject({ status: 401 });
        if (text !== "") expect(await answer("/", bearer(text))).toMatchObject({ status: 401 });
      }),
    );
  });
});

describe("public keys", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  test("that are unavailable are a server error without details", async () => {
    const url = "https://keys.test/admission.json";
    const fetched = vi.spyOn(globalThis, "fetch").mockRejectedValue(new Error("a secret of the network's"));
    const header = btoa(JSON.stringify({ alg: "RS256" })).replaceAll("=", "");
    const settings = { TOKEN_JWKS_URL: url, TOKEN_AUDIENCE: "fanout" };
    expect(await answer("/", bearer(`${header}.e30.AAAA`), settings)).toEqual({
      status: 503,
      code: "unavailable",
      said: "The keys that verify tokens are unavailable.\n",
    });
    expect(fetched).toHaveBeenCalled();
    expect(await answer("/", bearer(await mint()), settings)).toMatchObject({ status: 401 });
  });
});

describe("the request to an object", () => {
  const narrow = { subscribe: ["news"], announce: [] };
  const forged = {
    "Fanout-Grants": encodeURIComponent(JSON.stringify({ ...EVERYTHING, until: 1e15 })),
    "Fanout-Region": "forged",
    "Fanout-Full": "forged",
    "Fanout-Place": "forged",
  };

  test("has no headers of the client", async () => {
    const token = await mint(narrow);
    let told: Headers | undefined;
    let asked: unknown;
    const recording = new Proxy(exports.Channel, {
      get: () => () => ({
        fetch: (input: string, init: RequestInit) => {
          asked = input;
          told = new Headers(init.headers);
          const { 0: client, 1: server } = new WebSocketPair();
          server.accept();
          return new Response(null, { status: 101, webSocket: client });
        },
      }),
    });
    const headers = {
      ...forged,
      ...bearer(token),
      Upgrade: "websocket",
      Cookie: "private=1",
      Origin: "https://example.com",
      "Sec-WebSocket-Protocol": `fanout, ${token}, more`,
    };
    const request = new Request(`http://fanout.test/news?token=${token}`, { headers });
    const response = await worker.fetch(request, { CHANNEL: recording, ...locked });
    expect(response.status).toBe(101);
    expect(asked).toBe("http://object/");
    const { "fanout-grants": grants = "", ...others } = Object.fromEntries(told ?? []);
    expect(others).toEqual({
      upgrade: "websocket",
      "sec-websocket-protocol": "fanout",
      "fanout-region": "",
      "fanout-full": "",
    });
    const granted: unknown = JSON.parse(decodeURIComponent(grants));
    const [key] = await fingerprintsOf({ secret: SECRET, audience: undefined });
    expect(granted).toEqual({ ...narrow, until: expect.any(Number), key });
    expect(isGrants(granted)).toBe(true);
  });

  test("has only the token's grants, whatever headers the client sends", async () => {
    const client = await Client.connect("news", { ...forged, ...bearer(await mint(narrow)) });
    client.send("subscribe sport\nannounce news x");
    expect(await client.ping()).toEqual([noSubscription("sport"), noAnnouncement("news")]);
    await client.close();
    expect(await answer("/", forged)).toMatchObject({ status: 401 });
  });
});
