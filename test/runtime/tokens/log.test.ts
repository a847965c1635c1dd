/** The Worker's log of refusals has the token's subject, and never the token. */
import { exports } from "cloudflare:workers";
import { expect, test, vi } from "vitest";
import { bearer, EVERYTHING, mint, seconds } from "../support/mint.ts";
import { settleQuickly } from "../support/service.ts";

settleQuickly();

test("refusals are logged with the subject of a token with a valid signature, once in ten seconds per kind", async () => {
  const lines: string[] = [];
  vi.spyOn(console, "warn").mockImplementation((line) => lines.push(String(line)));
  vi.useFakeTimers({ toFake: ["Date"] });
  const pass = () => vi.setSystemTime(Date.now() + 10_000);
  const tokens = {
    narrow: await mint({ sub: "ann", subscribe: ["a"] }),
    expired: await mint({ ...EVERYTHING, sub: "bob", exp: seconds() - 60 }),
    early: await mint({ ...EVERYTHING, sub: "cid", nbf: seconds() + 3_600 }),
    forged: await mint({ ...EVERYTHING, sub: "eve" }, "another secret of more than 32 bytes"),
    nameless: await mint({ subscribe: ["a"] }),
  };
  const ask = (path: string, token?: string, init: RequestInit = {}) =>
    exports.default.fetch(`http://fanout.test${path}`, { ...init, headers: token ? bearer(token) : {} });
  const logged = async (...asked: Promise<Response>[]) => {
    await Promise.all(asked);
    pass();
    return lines.splice(0).map((line): unknown => JSON.parse(line));
  };

  const why = (claim: string) => `your token doesn't grant this channel; its claim '${claim}' has to list it`;
  const forbidden = { event: "refused.forbidden", status: 403, code: "forbidden", command: "connect" };
  const narrow = { ...forbidden, why: why("subscribe"), sub: "ann" };
  expect(await logged(ask("/b", tokens.narrow), ask("/b", tokens.narrow))).toEqual([{ times: 1, ...narrow }]);
  expect(await logged(ask("/b", tokens.narrow, { method: "POST", body: "x" }))).toEqual([
    { times: 2, ...narrow, command: "announce", why: why("announce") },
  ]);
  expect(await logged(ask("/-/info", tokens.narrow))).toEqual([
    { times: 1, ...forbidden, command: "operate", why: "your token lacks the claim 'operate'", sub: "ann" },
  ]);
  expect(await logged(ask("/a?channel=b", tokens.nameless))).toEqual([{ times: 1, ...forbidden, why: narrow.why }]);
  expect(await logged(ask("/a", tokens.expired))).toEqual([
    {
      event: "refused.expired",
      times: 1,
      status: 401,
      code: "expired",
      command: "connect",
      why: "the token has expired; get a new one",
      sub: "bob",
    },
  ]);
  expect(await logged(ask("/a", tokens.early))).toMatchObject([
    { event: "refused.forbidden", status: 401, sub: "cid" },
  ]);
  // A forged token may contain anything.
  const [forged] = await logged(ask("/a", tokens.forged));
  expect(forged).toMatchObject({
    event: "refused.forbidden",
    status: 401,
    why: "the token's signature is wrong; sign it with the key of this server",
  });
  expect(forged).not.toHaveProperty("sub");
  expect(await logged(ask("/a"))).toMatchObject([
    { event: "refused.forbidden", status: 401, why: expect.stringMatching(/^a token is missing/) },
  ]);

  const all: Promise<Response>[] = [];
  for (const token of Object.values(tokens)) {
    all.push(ask(`/b?token=${token}`), ask("/b", token));
    pass();
  }
  await Promise.all(all);
  vi.useRealTimers();
  vi.restoreAllMocks();
  for (const line of lines) for (const token of Object.values(tokens)) expect(line).not.toContain(token);
});
