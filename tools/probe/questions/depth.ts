/** How deep calls from object to object may be nested, and what counts as a new beginning. */
import { type Facts, numberIn } from "../facts.ts";
import { askBy, type Platform } from "../platform.ts";
import { failed, type Question, type Row } from "../question.ts";

/** Hops that are tried at most, so that it ends where there is no limit. */
const HOPS = 40;
/** How deep an event may be: that of an object that the Worker has called is 2 deep. */
const LIMIT = 16;
const ASKED = 2;
/** Hops between an object that the Worker has called and the one whose event is to be deep. */
const BETWEEN = 8;
const DEEP = ASKED + BETWEEN + 1;

const NONE = `no limit seen up to ${HOPS}`;

/** What is asked, how deep the event is assumed to be that counts, and how it is found out. */
type Trial = [question: string, depth: number | undefined, find: (platform: Platform) => Promise<Facts>];

const TRIALS: Trial[] = [
  ["from a request", ASKED, (platform) => platform.ask(platform.newObject(), "line", { hops: HOPS })],
  ["from a message on a hibernatable socket", 1, fromMessage],
  ["from an alarm that a deep event has set", 1, (at) => deep(at, at.newObject(), "line at alarm")],
  ["from a deep event", DEEP, (platform) => deep(platform, platform.newObject(), "line")],
  ["from a timer, set before a deep event", DEEP, (platform) => afterDeep(platform, "timer")],
  ["from a timer, set in a deep event before another", ASKED, (platform) => beforeOther(platform, "timer")],
  ["from waitUntil, begun before a deep event", DEEP, (platform) => afterDeep(platform, "waitUntil")],
  [
    "from waitUntil, begun in a deep event before another",
    ASKED,
    (platform) => beforeOther(platform, "waitUntil"),
  ],
  ["in a deep event, by a stub used before", ASKED, (platform) => keptThenDeep(platform, true)],
  ["the same, made before but not used", DEEP, (platform) => keptThenDeep(platform, false)],
  ["by a stub first used in a deep event", DEEP, deepThenKept],
  ["calling each other back, a new stub each time", ASKED, (platform) => bounce(platform, false)],
  ["calling each other back, one stub each", undefined, (platform) => bounce(platform, true)],
];

export const depth: Question = {
  title: `Hops from object to object that can be made (a deep event is ${BETWEEN + 1} deeper than a request)`,
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
      question: "what the next one fails with",
      assumed: "Error: Subrequest depth limit exceeded…",
      seen: [...failures].join(" | ") || "nothing failed",
    });
    return rows;
  },
};

function seenIn(facts: Facts): string {
  const hops = numberIn(facts, "hops");
  if (facts.unreached === true) return `no such event: ${hops} hops and no further`;
  return facts.failure === undefined ? NONE : `${hops} hops`;
}

async function fromMessage(platform: Platform): Promise<Facts> {
  const listener = await platform.connect(platform.newObject());
  const facts = await askBy(listener, "line", { hops: HOPS });
  listener.close();
  return facts;
}

/** Has an object carry out an experiment in a deep event. */
function deep(platform: Platform, end: string, errand: string, ask: Facts = {}): Promise<Facts> {
  const brings = JSON.stringify({ hops: HOPS, ...ask });
  return platform.ask(platform.newObject(), "line", { hops: BETWEEN, end, errand, brings });
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

async function keptThenDeep(platform: Platform, use: boolean): Promise<Facts> {
  const object = platform.newObject();
  await platform.ask(object, "keep", { peer: platform.newObject(), use });
  return deep(platform, object, "use kept");
}

async function deepThenKept(platform: Platform): Promise<Facts> {
  const object = platform.newObject();
  const kept = await deep(platform, object, "keep", { peer: platform.newObject(), use: true });
  return kept.unreached === true ? kept : platform.ask(object, "use kept", { hops: HOPS });
}

function bounce(platform: Platform, kept: boolean): Promise<Facts> {
  return platform.ask(platform.newObject(), "bounce", { peer: platform.newObject(), kept, hops: HOPS });
}
