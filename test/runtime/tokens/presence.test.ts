/** The right to subscribe to a channel includes its presence, in all transports. */
import { exports } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { presenceOf } from "../../../src/protocol/members.ts";
import { Client } from "../support/client.ts";
import { granting } from "../support/mint.ts";
import { configure, settleQuickly, unique } from "../support/service.ts";

settleQuickly();

type Headers = Record<string, string>;

/** Sends a request, and ends its stream. */
async function status(path: string, headers: Headers): Promise<number> {
  const response = await exports.default.fetch(`http://fanout.test${path}`, { headers });
  if (response.webSocket) {
    response.webSocket.accept();
    response.webSocket.close(1000);
  }
  await response.body?.cancel();
  return response.status;
}

/** Status of a request for the presence of a channel, by transport. */
const transports: [string, granted: number, (channel: string, headers: Headers) => Promise<number>][] = [
  ["WebSockets", 101, (channel, headers) => status(`/presence/${channel}`, { Upgrade: "websocket", ...headers })],
  ["streams", 200, (channel, headers) => status(`/presence/${channel}`, headers)],
  ["streams of several channels", 200, (channel, headers) => status(`/?last=1&channel=presence/${channel}`, headers)],
  ["polls", 200, (channel, headers) => status(`/presence/${channel}?poll`, headers)],
  ["events", 200, (channel, headers) => status(`/presence/${channel}`, { Accept: "text/event-stream", ...headers })],
  ["lists", 200, (channel, headers) => status(`/presence/${channel}?members`, headers)],
];

describe.each(transports)("by %s", (_, granted, ask) => {
  test("presence is for all who may subscribe to the channel, or to its presence", {
    tags: ["retained-readable"],
  }, async () => {
    configure({ HISTORY_SECONDS: "60" });
    const news = unique("news");
    const ways = [news, `${news}*`, "*", presenceOf(news), "presence/*"];
    for (const way of ways)
      expect([way, await ask(news, await granting({ subscribe: [way] }))]).toEqual([way, granted]);
    const others = [[], ["other"], [`${news}/*`], [presenceOf("other")], ["presence"]];
    for (const subscribe of others) expect(await ask(news, await granting({ subscribe }))).toBe(403);
    const elsewhere = await granting({ announce: [news], enter: [news], operate: true });
    expect(await ask(news, elsewhere)).toBe(403);
    expect(await ask("all", await granting({}))).toBe(granted);
    expect(await ask(news, {})).toBe(401);
  });
});

test("a list is refused with the same message as a subscription", async () => {
  const ask = async (path: string) => {
    const response = await exports.default.fetch(`http://fanout.test${path}`, { headers: await granting({}) });
    return [response.status, response.headers.get("Fanout-Error"), await response.text()];
  };
  const said = "Your token doesn't grant this channel; its claim 'subscribe' has to list it.\n";
  expect(await ask("/presence/news?members")).toEqual([403, "forbidden", said]);
  expect(await ask("/presence/news")).toEqual([403, "forbidden", said]);
  // Mistakes are explained without a token.
  expect((await ask("/news?members"))[0]).toBe(400);
});

test("no token includes announcing on a presence channel", async () => {
  const why = "only the server announces on presence channels; enter and leave over a WebSocket";
  const headers = await granting({ subscribe: ["*"], announce: ["*", "presence/news"] });
  const post = (more: Headers) =>
    exports.default.fetch("http://fanout.test/presence/news", {
      method: "POST",
      body: "x",
      headers: { ...headers, ...more },
    });
  for (const more of [{}, { "Idempotency-Key": "k" }]) {
    const response = await post(more);
    expect([response.status, response.headers.get("Fanout-Error")]).toEqual([403, "forbidden"]);
    expect(await response.text()).toBe(`O${why.slice(1)}.\n`);
  }
  expect((await post({ Authorization: "" })).status).toBe(401);
  const client = await Client.connect("", headers);
  client.send("announce presence/news x");
  expect(await client.ping()).toEqual([`debug!error forbidden announce presence/news: ${why}`]);
});
