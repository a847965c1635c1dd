import { beforeEach, describe, expect, test, vi } from "vitest";
import { parseAddress, urlOf, webSocketUrl } from "../../../src/client/address.ts";
import { Fanout, json, Refused } from "../../../src/client/fanout.ts";
import { connectTo, FakeSocket, greet, settle, useFakeTime } from "./fakes.ts";

beforeEach(useFakeTime);

/** Values that JavaScript compares as numbers. */
const NOT_NUMBERS = [[5], "5", true, Object(5), 5n, new Date(5), { valueOf: () => 5 }];

test.each(NOT_NUMBERS)("a time of %o is refused at once", { tags: ["client-validates"] }, async (time) => {
  const { client } = connectTo();
  const options = { timeout: time };
  const calls = [
    Reflect.apply(client.announce, undefined, ["a", "x", options]),
    Reflect.apply(client.ping, undefined, [options]),
    Reflect.apply(client.info, undefined, [options]),
    Reflect.apply(client.close, undefined, [{ within: time }]),
  ];
  const errors: unknown[] = [];
  for (const call of calls) call.catch((error: unknown) => errors.push(error));
  await settle();
  const why = /^the option `(timeout|within)` is .+; it takes milliseconds$/;
  expect(errors).toEqual(calls.map(() => expect.objectContaining({ message: expect.stringMatching(why) })));
  expect(FakeSocket.made).toEqual([]);
});

test.each([
  [{ key: "order 17" }, "64 bytes of text without spaces or control characters"],
  [{ key: "a\nannounce b c" }, "64 bytes of text without spaces or control characters"],
  [{ key: "" }, 'the option `key` is ""; it takes 1 to 64 bytes'],
  [{ key: null }, "the option `key` is null"],
  [{ key: 17 }, "the option `key` is 17"],
  [{ key: "\ud800" }, 'the option `key` is "\\ud800"'],
  [{ timeout: Number.NaN }, "the option `timeout` is NaN"],
  [{ timeout: -1 }, "takes milliseconds"],
])(
  "announce refuses the options %j at once, and sends nothing",
  { tags: ["client-validates"] },
  async (options, why) => {
    const { client } = connectTo();
    await expect(Reflect.apply(client.announce, undefined, ["orders", "hi", options])).rejects.toThrow(why);
    expect(FakeSocket.made).toEqual([]);
  },
);

test.each([
  ["a\ud800", 'the channel is "a\\ud800"'],
  ["", 'the channel is ""; it takes 1 to 255 bytes'],
  ["a b", "without spaces, '!' or control characters"],
  ["a\nb", 'the channel is "a\\nb"'],
  ["debug", "not `debug`"],
  ["x".repeat(256), "1 to 255 bytes"],
  ["ü".repeat(128), "1 to 255 bytes"],
  [null, "the channel is null"],
  [undefined, "the channel is undefined"],
  [{}, "the channel is of type object"],
])("the channel %j is refused at once", async (channel, why) => {
  const { client } = connectTo();
  await expect(Reflect.apply(client.announce, undefined, [channel, "hi"])).rejects.toThrow(why);
  expect(() => Reflect.apply(client.subscribe, undefined, [channel])).toThrow(why);
  expect(FakeSocket.made).toEqual([]);
});

test.each([
  ["", 'the message is ""; it takes 1 to 1000000 bytes of text on one line'],
  ["a\nb", "on one line, or a codec, such as `json()`"],
  ["\udc00", 'the message is "\\udc00"'],
  [{ a: 1 }, "on one line, or a codec, such as `json()`"],
  [undefined, "on one line, or a codec, such as `json()`"],
  ["x".repeat(1_000_001), "1 to 1000000 bytes"],
])("the message %.20j is refused at once", async (text, why) => {
  const { client } = connectTo();
  await expect(Reflect.apply(client.announce, undefined, ["a", text])).rejects.toThrow(why);
});

test.each<[options: unknown, why: string]>([
  [{ since: null }, "the option `since` is null; it takes a whole number from 0 up; stored values need"],
  [{ since: "17" }, "stored values need `Number(…)`"],
  [{ since: -1 }, "a whole number from 0 up"],
  [{ since: 1.5 }, "a whole number from 0 up"],
  [{ since: 1e300 }, "a whole number from 0 up"],
  [{ last: 0 }, "a whole number from 1 up"],
  [{ last: Number.NaN }, "a whole number from 1 up"],
  [{ buffer: 0 }, "a whole number from 1 up"],
  [{ onMessage: "alert" }, "the option `onMessage` is"],
  [{ overflow: "drop" }, 'the option `overflow` is "drop"; it takes `end` or `oldest`'],
  [() => {}, "`options` is of type function; it takes an object"],
  ["since", '`options` is "since"; it takes an object'],
  [null, "`options` is null; it takes an object"],
  [["since"], "`options` is of type object; it takes an object, not an array"],
  [{ overflow: ["end"] }, "the option `overflow` is of type object"],
  ...["since", "last", "buffer"].flatMap((name) =>
    NOT_NUMBERS.map((value): [unknown, string] => [{ [name]: value }, `the option \`${name}\` is`]),
  ),
  [{ codec: JSON }, "the option `codec`.decode is undefined; it takes a function"],
])("subscribe refuses the options %o at once", { tags: ["client-validates"] }, (options, why) => {
  const { client } = connectTo();
  expect(() => Reflect.apply(client.subscribe, undefined, ["a", options])).toThrow(why);
});

test.each([0, -1, 1.5, Number.POSITIVE_INFINITY, null, ...NOT_NUMBERS])(
  "the constructor refuses the rate %o at once",
  (rate) => {
    expect(() => Reflect.construct(Fanout, ["wss://host", { rate }])).toThrow("a whole number from 1 up");
  },
);

test.each([
  [undefined, "the address is undefined; it takes ws://host or wss://host/path"],
  [null, "the address is null"],
  ["", 'the address is ""'],
  ["/live", 'the address is "/live"'],
  ["localhost:8787", 'the address is "localhost:8787"; it takes ws://'],
  ["host", 'the address is "host"'],
  ["ftp://host", "it takes ws://"],
  ["wss://host?token=x", 'the address is "wss://host…"; it'],
  ["wss://host#x", 'the address is "wss://host…"; it'],
  ["wss://ann:secret@host", 'the address is "wss://…host"; it'],
  ["wss://", 'the address is "wss://"'],
])("the address %j is refused by the constructor", (address, why) => {
  expect(() => Reflect.construct(Fanout, [address])).toThrow(why);
});

test.each([
  ["WSS://host", "wss://host/a%2Fb"],
  ["https://host/", "wss://host/a%2Fb"],
  ["ws://host:8787/live/", "ws://host:8787/live/a%2Fb"],
  ["HTTP://host", "ws://host/a%2Fb"],
])("the address %s keeps its scheme and path", (address, url) => {
  expect(webSocketUrl(urlOf(parseAddress(address), "a/b"))).toBe(url);
});

test("an address may be relative to the page, and a URL", () => {
  expect(parseAddress("/live", "https://app.example.com/chat?x#y")).toBe("https://app.example.com/live");
  expect(parseAddress(new URL("wss://host/live"))).toBe("https://host/live");
});

test("channels that can't be in a path are subscribed to by commands", async () => {
  for (const channel of [".", ".."]) {
    const { client } = connectTo();
    const subscription = client.subscribe(channel);
    const socket = await greet();
    expect([socket.url, socket.lines.at(-1)]).toEqual(["wss://host/", `subscribe ${channel} since now`]);
    socket.receive(`debug!position ${channel} 7`);
    expect(subscription.state).toBe("subscribed");
  }
});

describe("environments", () => {
  test("without a WebSocket the client uses requests at once", async () => {
    vi.stubGlobal("WebSocket", undefined);
    const asked: string[] = [];
    const client = new Fanout("https://host", {
      fetch: (url) => {
        asked.push(url);
        return new Promise(() => {});
      },
    });
    client.connect();
    await settle();
    await vi.dynamicImportSettled();
    expect(asked).toEqual(["https://host/-/health"]);
    await client.close();
  });

  test("an exception from the WebSocket constructor is final", async () => {
    class Forbidding extends FakeSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols);
        throw new Error("an insecure connection from a secure page");
      }
    }
    const { client, changes } = connectTo({ WebSocket: Forbidding });
    const announced = client.announce("a", "x");
    await expect(announced).rejects.toThrow("an insecure connection from a secure page");
    expect(changes.at(-1)).toMatchObject({ state: "failed", willRetry: false });
    expect(FakeSocket.made).toHaveLength(1);
  });

  test("a client and a subscription work through a proxy", async () => {
    const deep = <T extends object>(target: T): T =>
      new Proxy(target, {
        get: (of, name, receiver) => {
          const value: unknown = Reflect.get(of, name, receiver);
          return typeof value === "object" && value !== null ? deep(value) : value;
        },
      });
    const { client } = connectTo();
    const proxy = deep(client);
    const subscription = deep(proxy.subscribe("a"));
    await greet("debug!position a 7", "a!x");
    expect([proxy.state, subscription.state, subscription.position, proxy.position("a")]).toEqual([
      "connected",
      "subscribed",
      8,
      8,
    ]);
    for await (const { text } of subscription) {
      expect(text).toBe("x");
      break;
    }
    expect(subscription.state).toBe("unsubscribed");
  });

  test("errors have a name and a code", () => {
    const error = new Refused("rate", "too fast");
    expect([error.name, String(error), error.code]).toEqual(["Refused", "Refused: too fast", "rate"]);
  });

  test("tokens that can't be sent are refused by the constructor", () => {
    for (const token of ["", "a b", "a\nb", "é", null, 17]) {
      expect(() => Reflect.construct(Fanout, ["wss://host", { token }]), String(token)).toThrow("the token");
    }
  });
});

describe("a codec", () => {
  const schema = (
    validate: (value: unknown) => { value: number } | { issues: { message: string; path?: string[] }[] },
  ) => ({
    "~standard": { version: 1, vendor: "test", validate },
  });

  test("sends objects and text of several lines", async () => {
    const { client } = connectTo();
    const received: unknown[] = [];
    const codec = json<unknown>();
    client.subscribe("a", { codec, onMessage: ({ data }) => void received.push(data) });
    const socket = await greet("debug!position a 7", 'a!{"x":"1\\n2"}', 'a!"\\ud800"');
    expect(received).toEqual([{ x: "1\n2" }, "\ud800"]);
    client.announce("a", { x: "1\n2" }, { codec, key: "k" }).catch(() => {});
    await settle();
    expect(socket.lines.at(-1)).toBe('once k a {"x":"1\\n2"}');
    await expect(client.announce("a", undefined, { codec })).rejects.toThrow("the message is undefined");
  });

  test("validates announced and received messages; invalid ones are skipped", async () => {
    const codec = json(
      schema((value) => (typeof value === "number" ? { value } : { issues: [{ message: "no number", path: ["n"] }] })),
    );
    const { client } = connectTo();
    const received: [number, number | undefined][] = [];
    const invalid: unknown[] = [];
    const subscription = client.subscribe("a", {
      codec,
      onMessage: ({ data, position }) => void received.push([data, position]),
      onInvalid: ({ error, position }) => void invalid.push([error.message, position]),
    });
    await greet("debug!position a 7", "a!1", "a!two", 'a!"three"', "a!4");
    expect(received).toEqual([
      [1, 8],
      [4, 11],
    ]);
    expect(invalid).toEqual([
      [expect.stringContaining("JSON"), 9],
      ["the message doesn't match its schema: n: no number", 10],
    ]);
    expect([subscription.state, subscription.position]).toEqual(["subscribed", 11]);
    await expect(Reflect.apply(client.announce, undefined, ["a", "x", { codec }])).rejects.toThrow("no number");
  });

  test("of a client applies to all channels", async () => {
    const client = new Fanout("wss://host", { WebSocket: FakeSocket, codec: json<{ n: number }>() });
    const first = client.subscribe("a")[Symbol.asyncIterator]().next();
    await greet("debug!position a 7", 'a!{"n":1}');
    expect((await first).value).toEqual({ channel: "a", text: '{"n":1}', data: { n: 1 }, position: 8 });
    await client.close();
  });
});
