/** Starting positions: in an address, and in the Worker's request to an object. */
import { exports } from "cloudflare:workers";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sentenceOf } from "../../../src/protocol/errors.ts";
import type { From } from "../../../src/protocol/positions.ts";
import { formatRedirect, formatUpgrade, parseUpgrade } from "../../../src/worker/upgrade.ts";
import worker from "../../../src/worker.ts";
import { anyFrom } from "../../unit/protocol/texts.ts";
import { unique } from "../support/service.ts";

const plain = {
  region: "",
  full: "",
  below: false,
  grants: undefined,
  from: undefined,
  subprotocol: undefined,
};

/**
 * Sends a request; returns its response and the headers of each request to an object. All objects but the last
 * redirect.
 */
async function ask(path: string, headers: Record<string, string>, ...redirects: string[]) {
  const asked: Headers[] = [];
  const stub = {
    fetch: async (_: string, { headers }: { headers: Headers }) => {
      asked.push(headers);
      const object = redirects.shift();
      return object === undefined ? new Response("taken") : formatRedirect({ object, below: false });
    },
  };
  const CHANNEL = new Proxy(exports.Channel, { get: () => () => stub });
  const request = new Request(`http://fanout.test${path}`, { headers });
  const response = await worker.fetch(request, { CHANNEL });
  return { status: response.status, said: await response.text(), asked };
}

const upgrade = { Upgrade: "websocket" };

describe("a starting position", () => {
  test("reaches the object as the Worker parsed it", () => {
    fc.assert(
      fc.property(anyFrom, (from) => {
        expect(parseUpgrade(formatUpgrade({ ...plain, from }))).toEqual({ ...plain, from });
      }),
    );
    expect(parseUpgrade(formatUpgrade(plain))).toEqual(plain);
  });

  test("is the only valid value of its header", () => {
    for (const header of ["", "since", "since then", "last 0", "first 1", "7"]) {
      expect(() => parseUpgrade(new Headers({ "Fanout-From": header }))).toThrow(/Fanout-From isn.t valid/);
    }
  });

  test.each<[query: string, from: From | undefined]>([
    ["", undefined],
    ["?other=1", undefined],
    ["?since=0", { since: 0 }],
    ["?since=now", { since: "now" }],
    ["?last=10&other=1", { last: 10 }],
  ])("is said by an address: '%s'", async (query, from) => {
    // Including a header that the client sent itself.
    const { asked } = await ask(`/${unique("room")}${query}`, { ...upgrade, "Fanout-From": "last 99" });
    expect(asked.map((headers) => parseUpgrade(headers).from)).toEqual([from]);
  });

  test("is sent to each object that is asked", async () => {
    const room = unique("room");
    const { asked } = await ask(`/${room}?since=7`, upgrade, `${room}!1`, "", `${room}!2`);
    expect(asked.map((headers) => parseUpgrade(headers).from)).toEqual(Array(4).fill({ since: 7 }));
  });
});

test.each<[query: string, why: string]>([
  ["?since=", "'since' takes a position, a whole number from 0 to 9007199254740991, or 'now'"],
  ["?since=-1", "'since' takes a position, a whole number from 0 to 9007199254740991, or 'now'"],
  ["?since=+1", "'since' takes a position, a whole number from 0 to 9007199254740991, or 'now'"],
  ["?last=0", "'last' takes a number of messages, a whole number from 1 to 9007199254740991"],
  ["?last=now", "'last' takes a number of messages, a whole number from 1 to 9007199254740991"],
  ["?since=1&last=1", "only one of 'since' and 'last' may be given"],
])("an address with %s is refused, before any object hears of it", async (query, why) => {
  for (const headers of [{}, upgrade]) {
    const { status, said, asked } = await ask(`/${unique("room")}${query}`, headers);
    expect([status, said, asked]).toEqual([400, `${sentenceOf(why)}\n`, []]);
  }
});
