/** The settings that say who may come in: what they have to be, and what goes without them. */
import { exports } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { readSettings, SettingError } from "../src/settings.ts";
import worker from "../src/worker.ts";
import { sendAll } from "./cast.ts";
import { Client } from "./client.ts";
import { bearer, mint, SECRET } from "./mint.ts";
import { settleQuickly, unique } from "./service.ts";

settleQuickly();

/** Why settings cannot be used; whoever connects is told the same, whatever they come with. */
async function fault(variables: Record<string, unknown>): Promise<string> {
  const headers = { Upgrade: "websocket", Origin: "https://example.com", ...bearer(await mint()) };
  const request = new Request("http://fanout.test/room", { headers });
  const response = await worker.fetch(request, { CHANNEL: exports.Channel, ...variables });
  expect(response.status).toBe(500);
  const [, sentence = ""] = /^This server's settings are wrong: (.*)\.\n$/.exec(await response.text()) ?? [];
  expect(() => readSettings(variables)).toThrow(new SettingError(sentence));
  return sentence;
}

/** The status of the answer to a request for a page. */
async function status(variables: Record<string, unknown>, headers: Record<string, string>): Promise<number> {
  const request = new Request("http://fanout.test/", { headers });
  const response = await worker.fetch(request, { CHANNEL: exports.Channel, ...variables });
  if (response.status === 403) expect(await response.text()).toBe("Pages of this origin may not connect.\n");
  return response.status;
}

describe("settings of tokens", () => {
  const keys = "https://example.com/jwks.json";

  test("are a secret or where public keys are, with an audience or without", () => {
    for (const audience of [undefined, "fanout"]) {
      const more = audience === undefined ? {} : { TOKEN_AUDIENCE: audience };
      expect(readSettings({ TOKEN_SECRET: SECRET, ...more }).tokens).toEqual({ secret: SECRET, audience });
      expect(readSettings({ TOKEN_JWKS_URL: keys, ...more }).tokens).toEqual({ keys, audience });
    }
  });

  test("may be empty, which is none", () => {
    expect(readSettings({}).tokens).toBeUndefined();
    const empty = { TOKEN_SECRET: "", TOKEN_JWKS_URL: "", TOKEN_AUDIENCE: "" };
    expect(readSettings(empty).tokens).toBeUndefined();
    expect(readSettings({ ...empty, TOKEN_SECRET: SECRET }).tokens).toEqual({ secret: SECRET });
  });

  test("are not both, and not an audience alone", async () => {
    expect(await fault({ TOKEN_SECRET: SECRET, TOKEN_JWKS_URL: keys })).toBe(
      "only one of TOKEN_SECRET and TOKEN_JWKS_URL may be set",
    );
    expect(await fault({ TOKEN_AUDIENCE: "fanout" })).toBe(
      "TOKEN_AUDIENCE needs TOKEN_SECRET or TOKEN_JWKS_URL",
    );
  });

  test("have a secret of 32 bytes at least, which is never told", async () => {
    for (const secret of ["s", "s".repeat(31), "\u00e9".repeat(15), " "]) {
      const sentence = await fault({ TOKEN_SECRET: secret });
      expect(sentence).toBe("TOKEN_SECRET must have at least 32 bytes, chosen at random");
    }
    for (const secret of ["s".repeat(32), "\u00e9".repeat(16), "\u{1f600}".repeat(8)]) {
      expect(readSettings({ TOKEN_SECRET: secret }).tokens).toEqual({ secret });
    }
  });

  test("have keys at a URL that nobody on the way can change", async () => {
    const local = ["http://localhost/keys", "http://localhost:8080/keys", "http://127.0.0.1:1/"];
    for (const url of [keys, "https://example.com", ...local]) {
      expect(readSettings({ TOKEN_JWKS_URL: url }).tokens).toEqual({ keys: url });
    }
    const elsewhere = [
      "http://localhost.example.com/",
      "http://localhost@example.com/",
      "http://127.0.0.1.nip.io/",
    ];
    const others = [
      "http://example.com/keys",
      "ftp://localhost/",
      "file:///keys",
      "data:,{}",
      "javascript:1",
    ];
    for (const url of [...elsewhere, ...others, "keys", "/keys", "//example.com", "https://", " "]) {
      const sentence = await fault({ TOKEN_JWKS_URL: url });
      expect(sentence).toMatch(/^TOKEN_JWKS_URL must be a URL that begins with https:\/\//);
    }
  });

  test.each(["TOKEN_SECRET", "TOKEN_JWKS_URL", "TOKEN_AUDIENCE", "ALLOWED_ORIGINS"])(
    "like %s are text, and nothing else lets anyone in",
    async (name) => {
      for (const value of [0, 1, true, false, null, {}, [], ["*"]]) {
        expect(await fault({ [name]: value })).toBe(`${name} must be text`);
      }
    },
  );

  test("that are wrong tell no secret", async () => {
    const wrong = [
      { TOKEN_JWKS_URL: keys },
      { ALLOWED_ORIGINS: "nonsense" },
      { MAX_LINE_BYTES: "1" },
      { TOKEN_AUDIENCE: 1 },
    ];
    for (const other of wrong) expect(await fault({ TOKEN_SECRET: SECRET, ...other })).not.toContain(SECRET);
  });
});

describe("allowed origins", () => {
  test("are any, if none is set", async () => {
    for (const origin of ["https://example.com", "null", "", "nonsense"]) {
      expect(await status({}, { Origin: origin })).toBe(200);
      expect(await status({ ALLOWED_ORIGINS: "" }, { Origin: origin })).toBe(200);
    }
  });

  test("keep pages of others out, but not clients that name none", async () => {
    const variables = { ALLOWED_ORIGINS: "https://example.com" };
    expect(await status(variables, { Origin: "https://example.com" })).toBe(200);
    expect(await status(variables, {})).toBe(200);
    const others = [
      ...[
        "http://example.com",
        "https://example.com:8443",
        "https://example.com.evil.test",
        "https://a.example.com",
      ],
      ...["https://example.com/", "https://example.com, https://evil.test", "example.com", "null", "*", ""],
      ...["https://EXAMPLE.com", "https://evil.test/https://example.com"],
    ];
    for (const origin of others) {
      expect([origin, await status(variables, { Origin: origin })]).toEqual([origin, 403]);
    }
  });

  test("may be several, separated by commas, spaces or lines", async () => {
    const list = ["https://example.com", "http://localhost:5173", "https://[::1]:8443"];
    for (const separator of [",", ", ", " ", "\n", " ,\n"]) {
      const variables = { ALLOWED_ORIGINS: list.join(separator) };
      for (const origin of list) expect(await status(variables, { Origin: origin })).toBe(200);
      expect(await status(variables, { Origin: "http://localhost:5174" })).toBe(403);
    }
  });

  test("have no wildcards", async () => {
    for (const origin of ["https://*.example.com", "https://*", "http://localhost:*"]) {
      expect(await fault({ ALLOWED_ORIGINS: origin })).toContain(`not '${origin}'`);
    }
  });

  test("are refused as settings if no browser would send them", async () => {
    const wrong = [
      ...[
        "https://example.com/",
        "https://Example.com",
        "https://example.com:443",
        "https://example.com/path",
      ],
      ...["example.com", "*", "null", "file:///page", "'https://example.com'"],
    ];
    for (const origin of wrong) {
      const sentence = await fault({ ALLOWED_ORIGINS: `https://good.example, ${origin}` });
      expect(sentence).toMatch(/^ALLOWED_ORIGINS must be origins like 'https:\/\/example.com'/);
      expect(sentence).toContain(`not '${origin}'`);
    }
    for (const list of [",", "https://example.com,", ",https://example.com", " "]) {
      expect(await fault({ ALLOWED_ORIGINS: list })).toContain("not ''");
    }
  });

  test("come before tokens, and do not stand in for them", async () => {
    const variables = { ALLOWED_ORIGINS: "https://example.com", TOKEN_SECRET: SECRET };
    const good = bearer(await mint());
    expect(await status(variables, { Origin: "https://example.com", ...good })).toBe(200);
    expect(await status(variables, { Origin: "https://evil.test", ...good })).toBe(403);
    expect(await status(variables, { Origin: "https://evil.test" })).toBe(403);
    expect(await status(variables, { Origin: "https://example.com" })).toBe(401);
    expect(await status(variables, {})).toBe(401);
  });
});

describe("an open server", () => {
  test("needs no token, and says so", async () => {
    const client = await Client.connect(unique("home"));
    client.send(`token x\ntoken ${await mint()}\ntoken\ntoken  \r\nping`);
    const notNeeded = "debug!error no token is needed here";
    expect(await client.untilTime()).toEqual([
      ...[notNeeded, notNeeded],
      ...["debug!error a token is missing", "debug!error a token is missing"],
    ]);
    await client.close();
  });

  test("takes no notice of one, nor of what only the Worker says", async () => {
    const grants = encodeURIComponent(JSON.stringify({ subscribe: [], announce: [], until: 0 }));
    const useless = await mint({ exp: 1 });
    for (const headers of [bearer(useless), bearer("x".repeat(10_000)), { "Fanout-Grants": grants }]) {
      const room = unique("room");
      const client = await Client.connect(unique("home"), headers);
      await sendAll([client], `subscribe ${room}`);
      client.send(`announce ${room} 1\nannounce all 1`);
      expect((await client.ping()).sort()).toEqual(["all!1", `${room}!1`].sort());
      await client.close();
    }
  });

  test("chooses the subprotocol 'fanout' too, and no other", async () => {
    const chosen = async (protocols: string) => {
      const headers = { Upgrade: "websocket", "Sec-WebSocket-Protocol": protocols };
      const response = await exports.default.fetch(`http://fanout.test/${unique("room")}`, { headers });
      response.webSocket?.accept();
      response.webSocket?.close();
      return [response.status, response.headers.get("Sec-WebSocket-Protocol")];
    };
    expect(await chosen("fanout")).toEqual([101, "fanout"]);
    expect(await chosen(`fanout, ${await mint()}`)).toEqual([101, "fanout"]);
    expect(await chosen("mqtt, fanout")).toEqual([101, "fanout"]);
    expect(await chosen("mqtt")).toEqual([101, null]);
  });
});
