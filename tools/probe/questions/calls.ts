/** Limits on the calls of an event, in parallel and in total. */
import { numberIn } from "../facts.ts";
import type { Platform } from "../platform.ts";
import type { Question } from "../question.ts";

const CALLS = 12;
/** Duration of each call, in milliseconds. */
const EACH = 200;
/** Calls in flight, if calls have the same limit as fetch requests. */
const MAYBE = 6;

export const atOnce: Question = {
  title: `Calls in flight: ${CALLS} that take ${EACH} ms each`,
  when: "in turn",
  async ask(platform) {
    const assumed = `maybe ${MAYBE} at a time: ${(CALLS / MAYBE) * EACH} ms`;
    const toOne = await makeCalls(platform, 1);
    const toMany = await makeCalls(platform, CALLS);
    return [
      {
        question: "to one object",
        assumed,
        seen: `${toOne.inFlight} at a time: ${toOne.elapsed} ms`,
      },
      { question: "each to a different object", assumed, seen: `${toMany.elapsed} ms` },
    ];
  },
};

async function makeCalls(platform: Platform, callees: number): Promise<{ elapsed: number; inFlight: number }> {
  const object = platform.newObject();
  // The first calls bring the objects into memory, which must not be measured.
  await platform.ask(object, "at once", { calls: CALLS, callees, milliseconds: 1 });
  const facts = await platform.ask(object, "at once", { calls: CALLS, callees, milliseconds: EACH });
  return { elapsed: numberIn(facts, "elapsed"), inFlight: numberIn(facts, "inFlight") };
}

export const perEvent: Question = {
  title: "Calls that one event may make",
  when: "in turn",
  async ask(platform, { calls }) {
    const object = platform.newObject();
    const first = await seen(platform, object, calls);
    const next = await seen(platform, object, calls);
    return [
      { question: "in an event", assumed: "1,000 on the free plan, else 10,000", seen: first },
      { question: "in the next event of the same object", assumed: "as many again", seen: next },
    ];
  },
};

async function seen(platform: Platform, object: string, calls: number): Promise<string> {
  const facts = await platform.ask(object, "many", { calls });
  if (facts.failure === undefined) return `no limit seen up to ${calls.toLocaleString("en-US")}`;
  return `${numberIn(facts, "answered").toLocaleString("en-US")}, then ${String(facts.failure)}`;
}
