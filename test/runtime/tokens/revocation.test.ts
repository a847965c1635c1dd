/** Revoked tokens end their connections, and are refused. */
import { exports } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { Client } from "../support/client.ts";
import { bearer, EVERYTHING, granting, mint, seconds } from "../support/mint.ts";
import { configure, crash, evictAll, hold, intercept, rows, settleQuickly, unique } from "../support/service.ts";

settleQuickly();

const revoked = { code: 1008, reason: "revoked: your token was revoked; get a new one" };

async function ask(path: string, init: RequestInit = {}) {
  const response = await exports.default.fetch(`http://fanout.test${path}`, init);
  const body = await response.text();
  return { status: response.status, code: response.headers.get("Fanout-Error"), body };
}

async function revoke(body: string, claims: Record<string, unknown> = { operate: true }) {
  return ask("/-/revoke", { method: "POST", body, headers: await granting(claims) });
}

/** Returns the claims of a token that was issued some seconds ago. */
function issued(sub: string, ago: number): Record<string, unknown> {
  return { ...EVERYTHING, sub, iat: seconds() - ago };
}

describe.each([
  ["awake", async () => {}],
  ["asleep", evictAll],
])("the connections of objects that are %s", (_, sleep) => {
  test("end if their token was issued before, and no others", {
    tags: ["close-revoked", "token-revoked"],
  }, async () => {
    const sub = unique("ann");
    const [room, other] = [unique("room"), unique("other")];
    const old = await Client.connect(room, await granting(issued(sub, 10)));
    const undated = await Client.connect(other, await granting({ ...EVERYTHING, sub }));
    const newer = await Client.connect(room, await granting(issued(sub, -100)));
    const bob = await Client.connect(other, await granting(issued(unique("bob"), 10)));
    await sleep();
    const answer = await revoke(JSON.stringify({ sub }));
    expect(JSON.parse(answer.body)).toEqual({
      sub,
      before: expect.any(Number),
      objects: expect.any(Number),
      unreachable: 0,
    });
    expect(await old.closed).toEqual(revoked);
    expect(await undated.closed).toEqual(revoked);
    expect(await newer.ping()).toEqual([]);
    expect(await bob.ping()).toEqual([]);
  });
});

test("revoked tokens are refused everywhere, and newer ones aren't", { tags: ["error-revoked"] }, async () => {
  const sub = unique("ann");
  const room = unique("room");
  const old = await mint(issued(sub, 10));
  await revoke(JSON.stringify({ sub }));
  const said = { status: 401, code: "revoked", body: "Your token was revoked; get a new one.\n" };
  expect(await ask(`/${room}?poll`, { headers: bearer(old) })).toEqual(said);
  expect(await ask(`/${room}`, { method: "POST", body: "x", headers: bearer(old) })).toEqual(said);
  await expect(Client.connect(room, bearer(old))).rejects.toThrow("401");
  const other = await Client.connect(room, await granting(EVERYTHING));
  other.send(`token ${old}`);
  expect(await other.ping()).toEqual(["debug!error revoked token: your token was revoked; get a new one"]);
  const newer = await Client.connect(room, await granting(issued(sub, -100)));
  expect(await newer.ping()).toEqual([]);
});

test("revocations survive a crash, reach objects that didn't answer, and those that link later", async () => {
  const sub = unique("ann");
  const room = unique("room");
  const ann = await Client.connect(room, await granting(issued(sub, 10)));
  const restore = intercept(room, "revoked", () => {
    throw new Error("no answer");
  });
  expect(JSON.parse((await revoke(JSON.stringify({ sub }))).body)).toMatchObject({ unreachable: 1 });
  expect(await ann.ping()).toEqual([]);
  restore();
  await crash("all");
  expect(await ask(`/${room}?poll`, { headers: await granting(issued(sub, 10)) })).toMatchObject({ code: "revoked" });
  expect(await ann.closed).toEqual(revoked);
  expect(await rows("all", `revoked:${sub}`)).toMatchObject([[`revoked:${sub}`, { pending: false }]]);
});

test("a connection that was admitted before is closed when its object links", async () => {
  const sub = unique("ann");
  const room = unique("room");
  const linking = hold("all", "link");
  const opening = Client.connect(room, await granting(issued(sub, 10)));
  await linking.begun();
  await revoke(JSON.stringify({ sub }));
  linking.release();
  expect(await (await opening).closed).toEqual(revoked);
});

test("members whose token is revoked leave at once", async () => {
  configure({ HISTORY_SECONDS: "60" });
  const sub = unique("ann");
  const room = unique("room");
  const bob = await Client.connect(unique("home"), await granting(EVERYTHING));
  bob.send(`subscribe presence/${room}`);
  await bob.ping();
  const ann = await Client.connect(room, await granting({ ...issued(sub, 10), enter: ["*"] }));
  ann.send(`enter ${room} ${sub}`);
  expect(await bob.line()).toBe(`presence/${room}!enter ${sub}`);
  await revoke(JSON.stringify({ sub }));
  expect(await bob.line()).toBe(`presence/${room}!leave ${sub}`);
});

test.each(["", "{}", "[]", "null", '{"sub": 1}', '{"sub": ""}', "\uFEFF", '{"sub": "ann"'])(
  "revoking refuses the body %j",
  async (body) => {
    expect(await revoke(body)).toEqual({
      status: 400,
      code: "invalid",
      body: `The body has to be JSON that names the claim 'sub' of the tokens, such as {"sub": "ann"}.\n`,
    });
  },
);

test("revoking needs the claim 'operate' and POST", async () => {
  expect(await revoke(`{"sub": "ann"}`, EVERYTHING)).toMatchObject({ status: 403, code: "forbidden" });
  expect(await revoke(`{"sub": "${"a".repeat(256)}"}`)).toMatchObject({ status: 400, code: "invalid" });
  const headers = await granting({ operate: true });
  expect(await ask("/-/revoke", { headers })).toMatchObject({ status: 405, code: "invalid" });
  expect(await ask("/-/info", { method: "POST", headers })).toMatchObject({ status: 405, code: "invalid" });
});

test("tokens that are valid for too long are refused", { tags: ["token-lifetime"] }, async () => {
  configure({ TOKEN_MAX_SECONDS: "3600" });
  const room = unique("room");
  const get = async (claims: Record<string, unknown>) =>
    ask(`/${room}?poll`, { headers: await granting({ ...EVERYTHING, ...claims }) });
  const now = seconds();
  expect(await get({ iat: now, exp: now + 3_601 })).toMatchObject({ status: 401, code: "forbidden" });
  expect(await get({ exp: now + 3_700 })).toMatchObject({ status: 401, code: "forbidden" });
  expect(await get({ iat: now, exp: now + 3_600 })).toMatchObject({ code: "no-history" });
  expect(await get({ exp: now + 3_500 })).toMatchObject({ code: "no-history" });
});
