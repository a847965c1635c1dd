/** How deep calls between objects may be nested, and what resets the depth. */
import { type Facts, numberIn } from "../facts.ts";
import { askBy, type Platform } from "../platform.ts";
import { failed, type Question, type Row } from "../question.ts";

/** Maximum hops tried, where there is no limit. */
const HOPS = 40;
/** The maximum depth of an event. An event of an object called by the Worker has depth 2. */
const LIMIT = 16;
const ASKED = 2;
/** Hops between an object called by the Worker and the one with the deep event. */
const BETWEEN = 8;
const DEEP = ASKED + BETWEEN + 1;

const NONE = `no limit seen up to ${HOPS}`;

/** A question, the assumed depth of the event that counts, and the function that tests it. */
type Trial = [question: string, depth: number | undefined, find: (platform: Platform) => Promise<Facts>];

const TRIALS: Trial[] = [
  ["from a request", ASKED, (platform) => platform.ask(platform.newObject(), "chain", { hops: HOPS })],
  ["from a message on a hibernatable socket", 1, fromMessage],
  ["from an alarm set in a deep event", 1, (at) => deep(at, at.newObject(), "chain at alarm")],
  ["from a deep event", DEEP, (platform) => deep(platform, platform.newObject(), "chain")],
  ["from a timer set before a deep event", DEEP, (platform) => afterDeep(platform, "timer")],
  ["from a timer set in a deep event, after another event", ASKED, (platform) => beforeOther(platform, "timer")],
  ["from waitUntil begun before a deep event", DEEP, (platform) => afterDeep(platform, "waitUntil")],
  [
    "from waitUntil begun in a deep event, after another event",
    ASKED,
    (platform) => beforeOther(platform, "waitUntil"),
  ],
  ["in a deep event, through a stub used before", ASKED, (platform) => stubThenDeep(platform, true)],
  ["the same, but created and not used before", DEEP, (platform) => stubThenDeep(platform, false)],
  ["through a stub first used in a deep event", DEEP, deepThenStub],
  ["calling each other back, each time through a new stub", ASKED, (platform) => bounce(platform, false)],
  ["calling each other back, through one stub each", undefined, (platform) => bounce(platform, true)],
];

export const depth: Question = {
  title: `Maximum hops between objects (a deep event is ${BETWEEN + 1} deeper than a request)`,
  when: "in turn",
  async ask(platform) {
    const rows: Row[] = [];
    const failures = new Set<string>();
    for (const [question, from, find] of TRIALS) {
      const assumed = from === undefined ? NONE : `${LIMIT - from} hops`;
      try {
        const facts = await find(platform);
        rows.push({ question, assumed, seen: seenIn(facts) });
        if (facts.failure !== undefined) failures.add(String(facts.failure));
      } catch (error) {
        rows.push({ question, assumed, seen: failed(error) });
      }
    }
    rows.push({
      question: "the error of the next hop",
      assumed: "Error: Subrequest depth limit exceeded…",
      seen: [...failures].join(" | ") || "nothing failed",
    });
    return rows;
  },
};

function seenIn(facts: Facts): string {
  const hops = numberIn(facts, "hops");
  if (facts.unreached === true) return `the event was never reached: only ${hops} hops`;
  return facts.failure === undefined ? NONE : `${hops} hops`;
}

async function fromMessage(platform: Platform): Promise<Facts> {
  const client = await platform.connect(platform.newObject());
  const facts = await askBy(client, "chain", { hops: HOPS });
  client.close();
  return facts;
}

/** Runs an experiment in a deep event of an object. */
function deep(platform: Platform, end: string, errand: string, ask: Facts = {}): Promise<Facts> {
  const brings = JSON.stringify({ hops: HOPS, ...ask });
  return platform.ask(platform.newObject(), "chain", { hops: BETWEEN, end, errand, brings });
}

async function afterDeep(platform: Platform, by: string): Promise<Facts> {
  const object = platform.newObject();
  await platform.ask(object, "arm", { by, hops: HOPS });
  return deep(platform, object, "collect");
}

async function beforeOther(platform: Platform, by: string): Promise<Facts> {
  const object = platform.newObject();
  const armed = await deep(platform, object, "arm", { by });
  return armed.unreached === true ? armed : platform.ask(object, "collect");
}

async function stubThenDeep(platform: Platform, use: boolean): Promise<Facts> {
  const object = platform.newObject();
  await platform.ask(object, "create stub", { peer: platform.newObject(), use });
  return deep(platform, object, "use stub");
}

async function deepThenStub(platform: Platform): Promise<Facts> {
  const object = platform.newObject();
  const created = await deep(platform, object, "create stub", { peer: platform.newObject(), use: true });
  return created.unreached === true ? created : platform.ask(object, "use stub", { hops: HOPS });
}

function bounce(platform: Platform, reuse: boolean): Promise<Facts> {
  return platform.ask(platform.newObject(), "bounce", { peer: platform.newObject(), reuse, hops: HOPS });
}
