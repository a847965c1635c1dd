/** Settings of access: invalid values, and defaults. */
import { exports } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import worker from "../../../src/worker.ts";
import { wrongSettings } from "../../unit/worker/wrong-settings.ts";
import { Client } from "../support/client.ts";
import { sendAll } from "../support/connections.ts";
import { bearer, mint, SECRET } from "../support/mint.ts";
import { configure, settleQuickly, unique } from "../support/service.ts";

settleQuickly();

/** Returns the status of a request for a page. */
async function status(variables: Record<string, unknown>, headers: Record<string, string>): Promise<number> {
  const request = new Request("http://fanout.test/", { headers });
  const response = await worker.fetch(request, { CHANNEL: exports.Channel, ...variables });
  if (response.status === 403) {
    expect(await response.text()).toBe(
      "This server doesn't allow pages of this origin; its setting ALLOWED_ORIGINS has to name it.\n",
    );
    expect(response.headers.get("Fanout-Error")).toBe("forbidden");
  }
  return response.status;
}

describe("invalid settings", () => {
  test.each(wrongSettings)(
    "(%s) make the server refuse all clients with the reason",
    { tags: ["setting-refused", "status-500"] },
    async (_, settings) => {
      const headers = { Upgrade: "websocket", Origin: "https://example.com", ...bearer(await mint()) };
      for (const { variables, says } of settings) {
        const request = new Request("http://fanout.test/room", { headers });
        const response = await worker.fetch(request, { CHANNEL: exports.Channel, ...variables });
        expect(response.status).toBe(500);
        expect(await response.text()).toBe(`This server's settings are wrong: ${says}.\n`);
        expect(response.headers.get("Fanout-Error")).toBe("unavailable");
      }
    },
  );
});

test("other Workers get the error of invalid settings too", async () => {
  configure({ LINES_PER_SECOND: "x" });
  const expected = {
    code: "unavailable",
    message: expect.stringMatching(/^this server's settings are wrong: LINES_PER_SECOND must be/),
  };
  const asked = [exports.Fanout.announce(unique("news"), "x"), exports.Fanout.info()];
  for (const answer of asked) {
    const error = await answer.then(
      () => undefined,
      (cause: unknown) => cause,
    );
    expect(error).toMatchObject(expected);
  }
});

describe("allowed origins", () => {
  test("are any, if none is set", async () => {
    for (const origin of ["https://example.com", "null", "", "nonsense"]) {
      expect(await status({}, { Origin: origin })).toBe(200);
      expect(await status({ ALLOWED_ORIGINS: "" }, { Origin: origin })).toBe(200);
    }
  });

  test("exclude other pages, but not clients without an origin", {
    tags: ["origins-limit", "status-403"],
  }, async () => {
    const variables = { ALLOWED_ORIGINS: "https://example.com" };
    expect(await status(variables, { Origin: "https://example.com" })).toBe(200);
    expect(await status(variables, {})).toBe(200);
    const others = [
      ...["http://example.com", "https://example.com:8443", "https://example.com.evil.test", "https://a.example.com"],
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

  test("are checked before tokens, and don't replace them", async () => {
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
  test("needs no token", async () => {
    const client = await Client.connect(unique("home"));
    client.send(`token x\ntoken ${await mint()}\ntoken\ntoken  \r\nping`);
    const notNeeded = "debug!error invalid token: this server needs no tokens";
    expect(await client.untilTime()).toEqual([
      ...[notNeeded, notNeeded],
      ...["debug!error invalid token: a token is missing", "debug!error invalid token: a token is missing"],
    ]);
    await client.close();
  });

  test("ignores tokens, and the Worker's internal headers", async () => {
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

  test("chooses only the subprotocol 'fanout'", async () => {
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
