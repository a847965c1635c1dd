/**
 * What a client can make the server do with each line: calls between objects, rows, wake-ups, and bytes to others. The
 * counts are those of a run in which every object is reachable. `docs/guarantees.md` states the bounds.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type ClientLine, parseCommand } from "../../src/protocol/commands.ts";
import { type Costs, type MeteredClient, MeteredService } from "./metered.ts";

/** The channels with subscribers: an object without links, with links, and the one that all clients receive. */
const HOMES = ["a", "b", "c"];

interface Scene {
  service: MeteredService;
  /** The client whose lines are counted; it is connected to `a`, and subscribed to `a` and `all`. */
  sender: MeteredClient;
  others: MeteredClient[];
}

/** Returns a service at rest: `all` is received in three other objects, `b` in two and `presence/b` in one. */
async function scene(subscribers = 1): Promise<Scene> {
  const service = new MeteredService();
  const sender = await service.connect("a");
  const others: MeteredClient[] = [];
  for (const home of HOMES) {
    for (let i = 0; i < subscribers; i++) others.push(await service.connect(home));
  }
  const [inA, , inC] = HOMES.map((home) => others.find((client) => client.home === home));
  if (!inA || !inC) throw new Error("the clients are missing");
  await service.send(inC, ["subscribe b", "subscribe presence/b"]);
  await service.send(inA, ["subscribe b"]);
  await service.silence();
  service.takeCosts();
  for (const client of service.clients) client.take();
  return { service, sender, others };
}

/** Has every object in use announce, so that the next command finds it in memory, and its links confirmed. */
async function wake({ service, sender, others }: Scene): Promise<void> {
  await service.send(sender, ["announce a 1", "announce b 2", "announce all 3", "members b"]);
  for (const client of others) await service.send(client, ["ping"]);
  service.takeCosts();
  for (const client of service.clients) client.take();
}

const repeated = (count: number, line: (i: number) => string) => Array.from({ length: count }, (_, i) => line(i));

const flapping = (from: string) =>
  repeated(100, (i) => (i % 2 ? `unsubscribe ${from.split(" ")[0]}` : `subscribe ${from}`));

/** Each message waits for the one before it, on the other channel. */
const IN_TURN = { forward: 25, deliver: 75, tally: 1 };
const COMING = { present: 20, deliver: 20, tally: 1 };

/** Lines, and exactly what they cost in objects that are awake; and what that shows. */
const EXACT: [what: string, lines: string[], calls: Costs["calls"], rows: number][] = [
  ["lines that concern only this object", ["ping", "keepalive", "leave b", "unsubscribe q", "unsubscribe all"], {}, 0],
  [
    "lines that are refused",
    ["x".repeat(300), "token abc", "announce presence/b enter x", "subscribe b last x"],
    {},
    0,
  ],
  ["a channel that this object receives already", repeated(100, (i) => `${i % 2 ? "un" : ""}subscribe b`), {}, 0],
  ["a channel that no object knows", ["subscribe unused"], { link: 1 }, 3],
  ["ever new channels", repeated(100, (i) => `subscribe unused${i}`), { link: 100 }, 300],
  ["joining and leaving", repeated(100, (i) => `${i % 2 ? "un" : ""}subscribe q`), { link: 50, unlink: 50 }, 251],
  ["a message of this object's channel", ["announce a x"], {}, 1],
  ["a message of another channel", ["announce b x"], { forward: 1, deliver: 3 }, 6],
  ["many messages at once", repeated(100, () => "announce b x"), { forward: 1, deliver: 3 }, 6],
  ["many messages at once, in turn", repeated(50, (i) => `announce ${i % 2 ? "b" : "a"} x`), IN_TURN, 56],
  ["a message that nobody receives", ["announce unused x"], { forward: 1 }, 2],
  ["a message for all", ["announce all x"], { forward: 1, deliver: 5 }, 8],
  ["many messages with keys", repeated(100, (i) => `once k${i} b x`), { forward: 1, deliver: 3 }, 6],
  ["one message again and again", repeated(100, () => "once k b x"), { forward: 1, deliver: 3 }, 6],
  ["the position, again and again", repeated(100, () => "subscribe b since now"), { recover: 100 }, 0],
  ["missed messages, again and again", flapping("b since 0"), { recover: 50 }, 0],
  ["the newest messages, again and again", flapping("b last 1000"), { recover: 50 }, 0],
  ["missed messages of all, again and again", flapping("all since 5"), { recover: 49 }, 0],
  ["statistics", ["info"], { serviceFigures: 1, figures: 5 }, 1],
  ["statistics, again and again", repeated(10, () => "info"), { serviceFigures: 10, figures: 50 }, 1],
  ["a list of members", ["members b"], { members: 1 }, 0],
  ["a member", ["enter b ann x"], { present: 1, deliver: 1, tally: 1 }, 9],
  ["a member, again and again", repeated(100, () => "enter b ann x"), { present: 1, deliver: 1, tally: 1 }, 9],
  ["other data", repeated(20, (i) => `enter b ann ${i}`), { present: 20, deliver: 20, tally: 1 }, 47],
  ["coming and going", repeated(20, (i) => (i % 2 ? "leave b" : "enter b ann x")), COMING, 66],
];

test.each(EXACT)("exact calls and rows: %s", async (_, lines, calls, rows) => {
  const all = await scene();
  await wake(all);
  await all.service.send(all.sender, lines);
  const costs = all.service.takeCosts();
  expect({ calls: costs.calls, rows: costs.rows }).toEqual({ calls, rows });
});

/** The most that a line may cost. "Each" is for each object that receives a channel of another object. */
interface Bound {
  calls: number;
  callsEach: number;
  rows: number;
  rowsEach: number;
  /** Characters beyond those of the line, for each subscriber. */
  others: number;
}

const NOTHING: Bound = { calls: 0, callsEach: 0, rows: 0, rowsEach: 0, others: 0 };
const MESSAGE = { calls: 1, callsEach: 1, rows: 2, rowsEach: 2, others: 0 };

/** The line `leave` doesn't name the member, which may have 64 bytes. */
const PRESENCE = { ...MESSAGE, rows: 5, others: "presence/!leave ".length + 64 };

const BOUNDS: Record<Exclude<ClientLine["kind"], "empty">, Bound> = {
  ping: NOTHING,
  keepalive: NOTHING,
  refused: NOTHING,
  // Asks for revocations on a server with tokens.
  token: { ...NOTHING, calls: 1 },
  info: { ...NOTHING, calls: 1, callsEach: 1, rows: 1 },
  members: { ...NOTHING, calls: 1 },
  subscribe: { ...NOTHING, calls: 3, rows: 3 },
  unsubscribe: { ...NOTHING, calls: 1, rows: 2 },
  announce: MESSAGE,
  once: MESSAGE,
  enter: PRESENCE,
  leave: PRESENCE,
};

/** What an object that wakes may cost: it confirms its links, and reports what it counted. */
const WAKING = { ...NOTHING, calls: 3, rows: 4 };

/** The rows of the table in `docs/guarantees.md`. */
const DOCUMENTED: [what: string, bound: Bound][] = [
  ["`ping`, `keepalive`, a refused line", NOTHING],
  ["`token`, `members`", BOUNDS.members],
  ["`info`", BOUNDS.info],
  ["`subscribe`", BOUNDS.subscribe],
  ["`unsubscribe`", BOUNDS.unsubscribe],
  ["`announce`, `once`", BOUNDS.announce],
  ["`enter`, `leave`", BOUNDS.enter],
  ["an object that wakes for the line", WAKING],
];

function rowOf([what, { calls, callsEach, rows, rowsEach, others }]: (typeof DOCUMENTED)[number]): string {
  const sum = (fixed: number, each: number) =>
    each === 0 ? `${fixed}` : `${fixed} + ${each === 1 ? "" : `${each} `}*n*`;
  const out = others > 0 ? `the line and ${others} bytes` : callsEach > 0 && rowsEach > 0 ? "the line" : "nothing";
  return `| ${what} | ${sum(calls, callsEach)} | ${sum(rows, rowsEach)} | ${out} |`;
}

test("the documented bounds are those of this test", () => {
  const page = readFileSync(join(import.meta.dirname, "../../docs/guarantees.md"), "utf8");
  const [, section = ""] = page.split("\n## What a line costs\n");
  const [, table = ""] = section.split("| --- | --- | --- | --- |\n");
  expect(table.split("\n\n")[0]?.split("\n")).toEqual(DOCUMENTED.map(rowOf));
});

/** What a message or a list may come with: a line with the longest channel and two positions, or an error. */
const LONGEST_REPLY = 700;

const REQUESTS = { recover: NOTHING, members: NOTHING, serviceFigures: BOUNDS.info, announce: MESSAGE };

type Step =
  | { kind: "frame"; lines: string[] }
  | { kind: "request"; request: keyof typeof REQUESTS }
  | { kind: "silence" };

const channels = fc.constantFrom("a", "b", "c", "all", "presence/b", "new", "other", "x".repeat(255), "presence/new");
const text = fc.string({ minLength: 1, maxLength: 100 }).map((some) => some.replaceAll("\n", "."));
const position = fc.constantFrom("now", "0", "1", "1000000000", "9007199254740991");
const words = (...all: [fc.Arbitrary<string>, ...fc.Arbitrary<string>[]]) =>
  fc.tuple(...all).map((parts) => parts.join(" "));

const line = fc.oneof(
  fc.constantFrom("ping", "info", "keepalive", "token x"),
  words(fc.constantFrom("subscribe", "unsubscribe", "leave", "members"), channels),
  words(fc.constant("announce"), channels, text),
  words(fc.constant("once"), fc.constantFrom("k", "k2", "y".repeat(64)), channels, text),
  words(fc.constant("subscribe"), channels, fc.constant("since"), position),
  words(fc.constant("subscribe"), channels, fc.constant("last"), fc.nat(2_000).map(String)),
  words(fc.constant("enter"), channels, fc.constantFrom("ann", "bob", "z".repeat(64)), text),
  text,
);
const lines = fc.array(line, { minLength: 1, maxLength: 12 });

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: lines.map((all) => ({ kind: "frame" as const, lines: all })) },
  {
    weight: 2,
    arbitrary: fc
      .constantFrom("recover" as const, "members" as const, "serviceFigures" as const, "announce" as const)
      .map((request) => ({ kind: "request" as const, request })),
  },
  { weight: 1, arbitrary: fc.constant({ kind: "silence" as const }) },
);

/** Adds up what steps cost, and what they may cost. */
class Account {
  calls = 0;
  rows = 0;
  readonly #bound = { ...NOTHING };
  /** Most objects so far that receive a channel of another one. */
  #receiving = 0;
  /** Characters sent by the client. */
  #sent = 0;
  #lines = 0;
  #infos = 0;

  add(step: Step): void {
    if (step.kind === "request") {
      this.#add(REQUESTS[step.request], 1);
      if (step.request === "announce") this.#bound.others += POSTED.length;
    }
    for (const each of step.kind === "frame" ? step.lines : []) {
      const { kind } = parseCommand(each);
      if (kind === "empty") continue;
      this.#add(BOUNDS[kind], 1);
      this.#bound.others += each.length;
      this.#sent += each.length;
      this.#lines += 1;
      if (kind === "info") this.#infos += 1;
    }
  }

  /** Adds what has happened since. */
  charge({ service }: Scene): void {
    const { calls, rows, wakes } = service.takeCosts();
    this.calls += Object.values(calls).reduce((sum, count) => sum + count, 0);
    this.rows += rows;
    this.#add(WAKING, wakes);
    const isReceiving = (keys: string[]) => keys.some((key) => key.startsWith("upstream:"));
    this.#receiving = Math.max(this.#receiving, Object.values(service.rows).filter(isReceiving).length);
  }

  get most() {
    const { calls, callsEach, rows, rowsEach, others } = this.#bound;
    // Missed messages and members may come again with each line; `info` has a fixed length.
    const own = this.#lines * (LONGEST_REPLY + 2 * this.#bound.others) + 1_000 * this.#infos + this.#sent;
    return { calls: calls + callsEach * this.#receiving, rows: rows + rowsEach * this.#receiving, others, own };
  }

  #add(bound: Bound, times: number): void {
    for (const part of PARTS) this.#bound[part] += times * bound[part];
  }
}

const PARTS = ["calls", "callsEach", "rows", "rowsEach", "others"] as const;

/** What a Worker announces on `b`. */
const POSTED = "b!posted\n";

async function request({ service }: Scene, kind: keyof typeof REQUESTS): Promise<unknown> {
  if (kind === "recover") return service.ask("b", "recover", { since: 0, last: 0 });
  if (kind === "members") return service.ask("presence/b", "members", undefined);
  if (kind === "serviceFigures") return service.ask("all", "serviceFigures", undefined);
  return service.ask("b", "announce", { lines: POSTED, count: 1 });
}

/** Takes what a client has received; returns the number of its characters. */
const lengthOf = (client: MeteredClient) => client.take().reduce((sum, { length }) => sum + length + 1, 0);

const RUNS = Math.ceil(30 * Number(process.env.RUNS ?? 1));

test("generated lines and requests cost no more than the documented bounds, and leave nothing behind", {
  tags: ["cost-bounded", "idle-free"],
}, async () => {
  const worst = { calls: 0, rows: 0, others: 0, own: 0 };
  const property = fc.asyncProperty(
    fc.array(step, { minLength: 1, maxLength: 8 }),
    fc.integer({ min: 1, max: 3 }),
    async (steps, subscribers) => {
      const all = await scene(subscribers);
      const account = new Account();
      for (const each of steps) {
        account.add(each);
        if (each.kind === "silence") await all.service.silence();
        if (each.kind === "request") await request(all, each.request);
        if (each.kind === "frame") await all.service.send(all.sender, each.lines);
        account.charge(all);
      }
      const received = { others: Math.max(...all.others.map(lengthOf)), own: lengthOf(all.sender) };
      const cost = { calls: account.calls, rows: account.rows, ...received };
      const { most } = account;
      for (const part of ["calls", "rows", "others", "own"] as const) {
        worst[part] = Math.max(worst[part], cost[part] / Math.max(most[part], 1));
        expect(cost[part], `${part} of ${JSON.stringify(cost)}`).toBeLessThanOrEqual(most[part]);
      }
      expect(all.others.map(({ closed }) => closed)).toEqual(all.others.map(() => undefined));
      await isOver(all);
    },
  );
  await fc.assert(property, { numRuns: RUNS });
  console.log(worst);
});

/** Has all clients leave, and hours pass: only the statistics of the service may be left in storage. */
async function isOver({ service }: Scene): Promise<void> {
  for (const client of service.clients) if (client.open) await service.disconnect(client);
  await service.silence();
  const { all = [], ...others } = service.rows;
  expect(others).toEqual({});
  expect(all.filter((key) => !["counted", "service", "order"].includes(key) && !/^history:\d$/.test(key))).toEqual([]);
  expect(all.length).toBeLessThanOrEqual(4);
}
