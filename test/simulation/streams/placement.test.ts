/** Placement of connections among objects that fill up, fail, hang, answer late, and redirect wrongly. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { readLimits } from "../../../src/runtime/limits.ts";
import { channelOf } from "../../../src/runtime/object-names.ts";
import {
  type Answer,
  findPlacement,
  type Objects,
  type Offer,
  type PlacementCache,
} from "../../../src/streams/placement.ts";
import { Capacity, type Placement } from "../../../src/tree/capacity.ts";
import { fakeRuntime } from "../../unit/tree/fake-runtime.ts";
import { propertiesOf } from "../runs.ts";
import { check } from "../violation.ts";
import { Time } from "./time.ts";

/** Most turns of the microtask queue that any chain of promises takes. */
const MICROTASKS = 40;
/** Most objects asked for one connection, and most milliseconds until its outcome. */
const MAX_ASKED = 16;
const ANSWERED_WITHIN = 30_000;

/** Redirects of a misbehaving object. */
const WRONG_REDIRECTS: Placement[] = [
  { object: "sport", below: false },
  { object: "sport!1", below: true },
  { object: "news", below: false },
  { object: "news!1!1!1!1", below: true },
  { object: "", below: true },
];

/** An object with room for some connections, and a few children. */
class SimulatedObject {
  sockets = 0;
  readonly room: Capacity;

  constructor(name: string, note: (parent: string, filling: Parameters<Capacity["note"]>[0]) => void) {
    const runtime = fakeRuntime(name, new Map(), {
      fill: async (parent, filling) => {
        note(parent, filling);
        return undefined;
      },
    });
    const limits = { ...readLimits({}), socketsPerObject: 2, linksPerObject: 2 };
    const placing = this;
    const connections = {
      isCrowded: false,
      get size() {
        return placing.sockets;
      },
    };
    this.room = new Capacity({ runtime, limits, connections }, { objects: [] });
  }

  take(): void {
    this.sockets += 1;
    this.room.report("sockets");
  }
}

/** An attempt to place a connection. */
interface Attempt {
  startedAt: number;
  asked: Offer[];
  /** Undefined while pending. */
  outcome: "taken" | "refused" | undefined;
}

class Tree {
  readonly #choose: (among: number) => number;
  readonly #isHonest: boolean;
  readonly time: Time;
  readonly cache: PlacementCache = new Map();
  readonly #objects = new Map<string, SimulatedObject>();
  readonly attempts: Attempt[] = [];
  readonly seen = new Set<Case>();
  /** Late answers. */
  readonly late: (() => void)[] = [];
  /** Connections that objects accepted, and those of them that were discarded or lost. */
  taken = 0;
  lost = 0;

  constructor(choose: (among: number) => number, isHonest: boolean) {
    this.#choose = choose;
    this.#isHonest = isHonest;
    this.time = new Time(choose);
  }

  /** Connects a client. */
  connect(): void {
    const attempt: Attempt = { startedAt: this.time.now(), asked: [], outcome: undefined };
    this.attempts.push(attempt);
    const objects: Objects<string> = {
      offer: (offer) => this.#answerLike(attempt, offer),
      discard: () => {
        this.lost += 1;
      },
    };
    void findPlacement("news", objects, this.cache, this.time).then((outcome) => {
      attempt.outcome = "accepted" in outcome ? "taken" : "refused";
      if ("code" in outcome) check(outcome.why !== "", () => "a denial has no sentence");
    });
  }

  #answerLike(attempt: Attempt, offer: Offer): Promise<Answer<string>> {
    attempt.asked.push(offer);
    const { object } = offer;
    check(attempt.asked.length <= MAX_ASKED, () => `${attempt.asked.length} objects are asked`);
    check(channelOf(object) === "news", () => `${object} is asked for a connection to news`);
    const how = this.#isHonest ? 9 : this.#choose(10);
    if (how === 0) return Promise.reject(new Error("the object failed"));
    if (how === 1) return new Promise(() => {});
    const wrong = WRONG_REDIRECTS[this.#choose(WRONG_REDIRECTS.length)];
    if (how === 2 && wrong) return Promise.resolve({ redirect: wrong });
    const answer = this.#answer(offer);
    if (how === 3 && "accepted" in answer) this.lost += 1;
    if (how === 3) return Promise.reject(new Error("the answer was lost"));
    if (how === 4) return new Promise((resolve) => this.late.push(() => resolve(answer)));
    return Promise.resolve(answer);
  }

  #answer({ object, full, below }: Offer): Answer<string> {
    const simulated = this.#of(object);
    const redirect = simulated.room.placementFor("", full, below);
    if (redirect) return { redirect };
    simulated.take();
    this.taken += 1;
    return { accepted: object };
  }

  #of(name: string): SimulatedObject {
    const known = this.#objects.get(name);
    if (known) return known;
    const made = new SimulatedObject(name, (parent, filling) => this.#of(parent).room.note(filling));
    this.#objects.set(name, made);
    return made;
  }
}

/** Rare cases that the runs have to reach. */
type Case = "a chain" | "refused" | "lost";

async function settle(tree: Tree): Promise<void> {
  for (let i = 0; i < MICROTASKS; i++) await Promise.resolve();
  for (const { outcome, startedAt, asked } of tree.attempts) {
    const waited = tree.time.now() - startedAt;
    check(outcome !== undefined || waited <= ANSWERED_WITHIN, () => `no answer, of ${asked.length} objects`);
    if (asked.length > 3) tree.seen.add("a chain");
    if (outcome === "refused") tree.seen.add("refused");
  }
}

/** Answers or times out everything. */
async function rest(tree: Tree): Promise<void> {
  await settle(tree);
  for (let next = tree.time.next; next; next = tree.time.next) {
    next.fire();
    await settle(tree);
  }
  for (const answer of tree.late.splice(0)) answer();
  await settle(tree);
}

async function play(choices: number[], isHonest: boolean): Promise<Set<Case>> {
  let i = 0;
  const tree = new Tree((among) => (choices[i++] ?? 0) % among, isHonest);
  while (i < choices.length) {
    const next = (choices[i++] ?? 0) % 4;
    if (next < 2) tree.connect();
    if (next === 2) tree.late.shift()?.();
    if (next === 3) tree.time.next?.fire();
    await settle(tree);
  }
  await rest(tree);
  const placed = tree.attempts.filter(({ outcome }) => outcome === "taken").length;
  check(placed + tree.lost === tree.taken, () => `${tree.taken} taken, ${placed} placed, ${tree.lost} lost`);
  check(tree.time.timers === 0, () => `${tree.time.timers} timers are left`);
  if (isHonest) check(placed === tree.attempts.length, () => `only ${placed} of ${tree.attempts.length} are placed`);
  if (tree.lost > 0) tree.seen.add("lost");
  return tree.seen;
}

const property = propertiesOf<boolean, Case>(play);

property("if objects work, every connection finds one with room", {
  runs: 250,
  scenarios: fc.constant(true),
  goals: ["a chain"],
});

property("whatever objects do, few are asked, the outcome is in time, and no connection leaks", {
  runs: 1_000,
  scenarios: fc.constant(false),
  goals: ["a chain", "lost", "refused"],
});

test("a child that doesn't answer is removed from the cache, and the root is asked again", async () => {
  const time = new Time(() => 0);
  const cache: PlacementCache = new Map();
  const asked: string[] = [];
  const objects: Objects<string> = {
    offer: async ({ object }) => {
      asked.push(object);
      if (object === "news!1") throw new Error("the object failed");
      return { accepted: object };
    },
    discard: () => {},
  };
  cache.set("news", { child: "news!1", until: time.now() + 10_000 });
  expect(await findPlacement("news", objects, cache, time)).toEqual({ accepted: "news" });
  expect(await findPlacement("news", objects, cache, time)).toEqual({ accepted: "news" });
  expect(asked).toEqual(["news!1", "news", "news"]);
});
