/** Tokens by HTTP, and access to the operators' pages. */
import { exports } from "cloudflare:workers";
import { expect, test } from "vitest";
import { bearer, EVERYTHING, mint, seconds } from "../support/mint.ts";
import { settleQuickly, unique } from "../support/service.ts";

settleQuickly();

async function ask(path: string, init: RequestInit = {}) {
  const response = await exports.default.fetch(`http://fanout.test${path}`, init);
  const code = response.headers.get("Fanout-Error");
  return { status: response.status, code, said: await response.text() };
}

test("announcing and subscribing without grants are refused with the same message as commands", async () => {
  const headers = bearer(await mint({ subscribe: ["a"], announce: ["b"] }));
  const refusal = (claim: string) => {
    const said = `Your token doesn't grant this channel; its claim '${claim}' has to list it.\n`;
    return { status: 403, code: "forbidden", said };
  };
  expect(await ask("/a", { method: "POST", body: "x", headers })).toEqual(refusal("announce"));
  for (const path of ["/b", "/a?channel=b", "/b?poll"]) {
    expect(await ask(path, { headers })).toEqual(refusal("subscribe"));
  }
  expect(await ask("/b", { method: "POST", body: "x", headers })).toMatchObject({ status: 200, code: null });
  expect(await ask("/b", { method: "POST", body: "x" })).toMatchObject({ status: 401, code: "forbidden" });
});

test("an EventSource whose access has ended gets 204; a new one gets the reason", {
  tags: ["events-stop"],
}, async () => {
  const old = bearer(await mint({ ...EVERYTHING, exp: seconds() - 60 }));
  const events = { Accept: "text/event-stream" };
  expect(await ask("/a", { headers: { ...events, ...old, "Last-Event-ID": "1.1" } })).toEqual({
    status: 204,
    code: "expired",
    said: "",
  });
  expect(await ask("/a", { headers: { ...events, ...old } })).toMatchObject({ status: 401, code: "expired" });
});

test.each([
  ["a stream", "debug!", {}],
  ["an event stream", "data: ", { Accept: "text/event-stream" }],
])(
  "%s ends when its token expires, with the reason",
  { tags: ["stream-error", "error-expired"] },
  async (_, prefix, headers) => {
    // It is accepted for five more seconds, in which even a busy machine opens the stream.
    const token = bearer(await mint({ ...EVERYTHING, exp: seconds() }));
    const { status, said } = await ask(`/${unique("news")}`, { headers: { ...token, ...headers } });
    expect(status).toBe(200);
    const reason = "error expired connect: your token has expired; connect again with a new one";
    expect(said.trim().split("\n").at(-1)).toBe(prefix + reason);
  },
);

test("the operators' pages need a claim, except /-/health", async () => {
  expect(await ask("/-/health")).toEqual({ status: 200, code: null, said: "ok\n" });
  const everything = bearer(await mint(EVERYTHING));
  const operator = bearer(await mint({ operate: true }));
  for (const path of ["/-/settings", "/-/info", "/-/metrics", "/-/channels/news"]) {
    expect(await ask(path)).toMatchObject({ status: 401, code: "forbidden" });
    expect(await ask(path, { headers: everything })).toEqual({
      status: 403,
      code: "forbidden",
      said: "Your token lacks the claim 'operate'.\n",
    });
    expect(await ask(path, { headers: operator })).toMatchObject({ status: 200 });
  }
});
