/** Arbitrary values for every public function: a call sends whole, valid lines, or throws one clear sentence. */
import fc from "fast-check";
import { beforeEach, expect, test } from "vitest";
import * as library from "../../../src/client/fanout.ts";
import { parseCommand } from "../../../src/protocol/commands.ts";
import { anyUnits } from "../protocol/texts.ts";
import { connectTo, FakeSocket, settle, useFakeTime } from "./fakes.ts";

beforeEach(useFakeTime);

const throwing = () => {
  throw new RangeError("a value of the program throws");
};

/** Values that plain JavaScript may bring. */
const anything = fc.oneof(
  anyUnits,
  fc.constantFrom("a", "a b", "a\nb", "a\r", "\u202e", "\ud800", "debug", "all", "presence/a", ".", "x".repeat(70_000)),
  fc.constantFrom<unknown[]>(null, undefined, true, 0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 5n),
  fc.constantFrom<unknown[]>(Symbol("s"), () => {}, [], ["a"], [5], {}, new Date(Number.NaN), /x/, Object.create(null)),
  fc.constantFrom<unknown[]>(
    Object.defineProperty({}, "key", { enumerable: true, get: throwing }),
    { toString: throwing, valueOf: throwing, toJSON: throwing },
    new Proxy({}, { get: throwing, ownKeys: throwing }),
  ),
);

const OPTIONS = [
  ..."key timeout signal codec since last buffer overflow within token rate WebSocket fetch debug".split(" "),
  ..."onMessage onGap onPosition onState onInvalid onEnd".split(" "),
];
const options = fc.oneof(fc.dictionary(fc.constantFrom(...OPTIONS), anything, { maxKeys: 2 }), anything);
const channel = fc.oneof(fc.constant("a"), anything);

/** The arguments of each function of a client, of a subscription, of members, and of the library. */
const CALLS = {
  client: {
    on: [fc.oneof(fc.constant("state"), anything), anything],
    subscribe: [channel, options],
    announce: [channel, fc.oneof(fc.constant("x"), anything), options],
    enter: [channel, fc.oneof(fc.constant("ann"), anything), anything, options],
    leave: [channel],
    members: [channel],
    ping: [options],
    info: [options],
    position: [channel],
    connect: [],
    setToken: [anything],
    disconnect: [],
    close: [options],
  },
  subscription: {
    on: [fc.oneof(fc.constantFrom("message", "__proto__", "constructor"), anything), anything],
    unsubscribe: [anything],
  },
  members: { on: [fc.oneof(fc.constantFrom("added", "toString"), anything), anything], unsubscribe: [anything] },
  library: {
    Fanout: [fc.oneof(fc.constant("wss://host"), anything), options],
    json: [anything],
    Refused: [anything, anything],
  },
};

/** An error that tells the caller what to do. */
function expectClear(error: unknown): void {
  if (
    !(
      error instanceof TypeError ||
      error instanceof RangeError ||
      error instanceof SyntaxError ||
      error instanceof library.Refused
    )
  )
    throw error;
  expect(error.message).toMatch(/^[^\n]+$/);
}

/** What the calls since the last check were rejected with. */
const rejections: unknown[] = [];

/** Calls a function, and checks what it throws. @returns its result, if it has one */
async function call(act: () => unknown): Promise<unknown> {
  try {
    const result = act();
    if (result instanceof Promise) result.catch((error: unknown) => rejections.push(error));
    return result instanceof Promise ? undefined : result;
  } catch (error) {
    expectClear(error);
    return undefined;
  }
}

/** Greets the newest connection, and checks all lines that were sent. */
async function checkLines(): Promise<string[]> {
  await settle();
  const socket = FakeSocket.made.at(-1);
  socket?.receive("debug!connected...");
  await settle();
  for (const error of rejections.splice(0)) expectClear(error);
  const sent = FakeSocket.made.map((each) => each.sent.join("")).join("");
  expect(sent).toMatch(/^$|\n$/);
  const lines = sent.split("\n").slice(0, -1);
  for (const line of lines) expect(parseCommand(line).kind, JSON.stringify(line)).not.toMatch(/refused|empty/);
  return lines;
}

/** Runs with the same seed each time, and with a new one, which a failure prints. */
async function forAll(values: fc.Arbitrary<unknown>[], check: (words: unknown[]) => Promise<void>): Promise<void> {
  for (const seed of [1, Date.now() ^ (Math.random() * 2 ** 31)]) {
    await fc.assert(
      fc.asyncProperty(fc.tuple(...values), async (words) => {
        FakeSocket.made = [];
        await check(words);
      }),
      { seed, numRuns: 150 },
    );
  }
}

const TARGETS = ["client", "subscription", "members"] as const;

function targets() {
  const { client } = connectTo();
  return { client, subscription: client.subscribe("s"), members: client.members("s") };
}

for (const target of TARGETS) {
  test.each(Object.entries<fc.Arbitrary<unknown>[]>(CALLS[target]))(
    `${target}.%s takes arbitrary values`,
    { tags: ["client-validates"] },
    async (name, values) => {
      await forAll(values, async (words) => {
        const { client, ...others } = targets();
        const of = { client, ...others }[target];
        await settle();
        await call(() => Reflect.apply(Reflect.get(of, name), of, words));
        await settle();
        const isInvalid = rejections.some((error) => error instanceof TypeError);
        const lines = await checkLines();
        const own = lines.filter((line) => /^(once|info|enter|leave|subscribe (?!s |presence\/s ))/.test(line));
        expect(own.length, own.join("; ")).toBeLessThanOrEqual(isInvalid ? 0 : 1);
        if (["close", "setToken"].includes(name)) return;
        client.connect();
        client.announce("ok", "ok", { key: "last" }).catch(() => {});
        expect(await checkLines()).toContain("once last ok ok");
        await client.close({ within: 0 });
      });
    },
  );
}

test("the library's own functions take arbitrary values", { tags: ["client-validates"] }, async () => {
  await forAll(CALLS.library.Fanout, async (words) => {
    const made = await call(() => Reflect.construct(library.Fanout, words));
    if (made instanceof Object) await Reflect.get(made, "close")({ within: 0 });
  });
  await forAll([...CALLS.library.json, anything, anything], async ([schema, data, text]) => {
    const codec = await call(() => Reflect.apply(library.json, undefined, [schema]));
    if (!(codec instanceof Object)) return;
    const { client } = connectTo();
    await call(() => Reflect.apply(client.announce, undefined, ["a", data, { codec }]));
    await checkLines();
    // `subscribe` passes text that isn't JSON to `onInvalid`.
    const subscription = await call(() => Reflect.apply(client.subscribe, undefined, ["a", { codec }]));
    await checkLines();
    FakeSocket.newest.receive(
      "debug!position a 1",
      `a!${String(typeof text === "string" ? text.replaceAll("\n", "") : 1)}`,
    );
    await settle();
    expect(subscription).toMatchObject({ state: "subscribed", position: 2 });
  });
});

test("no public function is left out", () => {
  const functionsOf = (target: object) =>
    Object.entries(target).flatMap(([name, value]) => (typeof value === "function" ? [name] : []));
  const made = targets();
  for (const target of TARGETS) expect(functionsOf(made[target]).sort()).toEqual(Object.keys(CALLS[target]).sort());
  expect(functionsOf(library).sort()).toEqual(Object.keys(CALLS.library).sort());
});
