/** Requests to the operators' pages, and how they fail. */
import { afterEach, expect, test, vi } from "vitest";
import { Exit, REFUSED, UNREACHABLE } from "../../../src/cli/exits.ts";
import { operatorPage } from "../../../src/cli/operator-page.ts";

afterEach(() => vi.unstubAllGlobals());

/** Requests a page from a server that gives one answer; returns the JSON, or the exit code and the message. */
async function request(answer: () => Response, token?: string) {
  const fetch = vi.fn(async (_: string, __: RequestInit) => answer());
  vi.stubGlobal("fetch", fetch);
  const outcome = await operatorPage("wss://host/x", { token, timeout: 1 }, "channels?prefix=a").catch((error) =>
    error instanceof Exit ? [error.code, error.message] : error,
  );
  const [[url = "", init] = []] = fetch.mock.calls;
  return { outcome, url, authorization: new Headers(init?.headers).get("Authorization") };
}

test("the page is below /-/, and its JSON is the answer", async () => {
  expect(await request(() => new Response('{"a": 1}'))).toEqual({
    outcome: { a: 1 },
    url: "https://host/x/-/channels?prefix=a",
    authorization: null,
  });
  expect(await request(() => new Response("1"), "t")).toMatchObject({ authorization: "Bearer t" });
});

test.each([
  [() => new Response("No claim 'operate'.\n", { status: 403 }), [REFUSED, "no claim 'operate'"]],
  [() => new Response("", { status: 502 }), [REFUSED, "the server answers with 502"]],
  [() => new Response("<html>"), [REFUSED, "the answer isn't JSON; is this a Fanout server?"]],
])("an answer without JSON is a refusal: %#", async (answer, outcome) => {
  expect((await request(answer)).outcome).toEqual(outcome);
});

test.each([
  [new TypeError("fetch failed", { cause: new Error("no such host") }), "no such host"],
  [new TypeError("fetch failed"), "fetch failed"],
])("a failure names its cause: %s", async (error, cause) => {
  const { outcome } = await request(() => {
    throw error;
  });
  expect(outcome).toEqual([UNREACHABLE, `the server can't be reached (${cause}); check the address`]);
});
