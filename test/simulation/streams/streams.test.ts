import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import type { From } from "../../../src/protocol/positions.ts";
import { checkCaughtUp, checkNothingLeft } from "./checks.ts";
import { EventsJudge } from "./events-judge.ts";
import { note, RARITIES, type Rarity } from "./rarities.ts";
import { replay, TIMES } from "./replay.ts";
import { type Action, type Kind, Simulation } from "./simulation.ts";

/** What has been met in all runs. */
const met = new Set<Rarity>();

/** Most streams and polls that are open at one time. */
const MOST_OPEN = 6;

const CHANNELS = [["all"], ["a", "all"], ["a", "b", "all"], ["b", "all"], [..."abcdefg", "all"]];

/** What clients and publishers might do next. */
function wishes(simulation: Simulation): Action[] {
  const { truth, readers, pollers } = simulation;
  const busy = [...readers, ...pollers].filter(({ over }) => !over).length;
  const said = [...simulation.used].flatMap((channel) => [
    { label: `a message on ${channel}`, happen: () => simulation.announce(channel) },
    { label: `history of ${channel} expires`, happen: () => truth.forget(channel) },
  ]);
  const gaps = [...simulation.used]
    .filter((channel) => truth.hasHistory(channel))
    .map((channel) => ({ label: `a gap on ${channel}`, happen: () => simulation.skip(channel) }));
  return [...said, ...said, ...gaps, ...(busy < MOST_OPEN ? openings(simulation) : [])];
}

function openings(simulation: Simulation): Action[] {
  const { truth } = simulation;
  const since = (channel: string): From => ({ since: truth.newest(channel) - (truth.newest(channel) % 4) });
  const fresh = CHANNELS.flatMap((channels) => {
    const [first = "", ...others] = channels;
    const froms = [undefined, { last: 2 }, ...(others.length < 2 ? [since(first)] : [])];
    return froms.map((from) => ({
      label: `events of ${channels} from ${JSON.stringify(from)}`,
      happen: () => void simulation.openEvents(channels, from),
    }));
  });
  const lines = [["a"], ["a", "b"], ["all"]].map((channels) => ({
    label: `lines of ${channels}`,
    happen: () => void simulation.openLines(channels, channels.length === 1 ? since("a") : { last: 1 }),
  }));
  const polls = ["a", "all"].flatMap((channel) => [
    { label: `a poll of ${channel}`, happen: () => void simulation.poll(channel, since(channel)) },
    { label: `a poll of ${channel}, now`, happen: () => void simulation.poll(channel, { since: "now" }) },
  ]);
  return [...fresh, ...lines, ...polls, ...returns(simulation), ...returns(simulation)];
}

/** Streams that go on where others were, at any event of theirs. */
function returns(simulation: Simulation): Action[] {
  return simulation.readers.flatMap(({ name, judge, object }) => {
    if (!(judge instanceof EventsJudge) || object.hasSentInvalid || judge.ids.length === 0) return [];
    const id = judge.ids[simulation.choose(judge.ids.length)];
    const { channels, from } = judge;
    return [
      {
        label: `${name} comes back to ${id}`,
        happen: () => void simulation.openEvents(channels, from, id),
      },
    ];
  });
}

/** Plays streams out as the choices say, and checks all that can be checked of any. */
async function play(choices: number[], kind: Kind): Promise<void> {
  let i = 0;
  const simulation = new Simulation((among) => (choices[i++] ?? 0) % Math.max(1, among), kind);
  try {
    while (i < choices.length) {
      const duties = [...simulation.duties(), ...simulation.reading()];
      const others = OTHERS[simulation.choose(OTHERS.length)] ?? wishes;
      const isDue = simulation.choose(3) > 0 && duties.length > 0;
      await simulation.step(isDue ? duties : others(simulation));
    }
    await checkCaughtUp(simulation);
    note(simulation, met);
    await checkNothingLeft(simulation);
  } catch (error) {
    throw new Error(`${error}\n\nWhat happened:\n${simulation.script.join("\n")}`, { cause: error });
  }
}

const leaving = (simulation: Simulation) => simulation.leaving();
const timing = (simulation: Simulation) => simulation.timing();
const mischief = (simulation: Simulation) => simulation.mischief();

/** What happens besides; repeated entries are likelier. */
const OTHERS = [wishes, wishes, wishes, wishes, mischief, mischief, mischief, timing, timing, leaving];

const choices = fc.array(fc.nat(), { minLength: 10, maxLength: 400, size: "max" });

const timeout = 120_000 * Math.max(1, TIMES);

/** Tries kinds of objects and clients `runs` times, with other choices each time. */
async function tryOut(runs: number, kinds: fc.Arbitrary<Kind>): Promise<void> {
  // Before the test's own limit, as a failure is worth nothing without the script that shows it.
  const limit = { interruptAfterTimeLimit: timeout - 30_000, markInterruptAsFailure: false };
  const property = fc.asyncProperty(choices, kinds, play);
  await fc.assert(property, { numRuns: runs * TIMES, ...limit, ...replay });
}

const never = fc.constant(false);
const always = fc.constant(true);
const calm = { refuses: never, fails: never, lies: never, isTight: never, isForgetful: fc.boolean() };

test("streams bring every message once, and each id brings back to where it was", { timeout }, async () => {
  await tryOut(1_000, fc.record(calm));
});

test("what an object refuses for the moment comes, however busy the stream is", { timeout }, async () => {
  await tryOut(1_000, fc.record({ ...calm, refuses: always }));
});

test("no stream or poll hangs, whatever becomes of its object", { timeout }, async () => {
  await tryOut(1_500, fc.record({ ...calm, refuses: fc.boolean(), fails: always }));
});

test("where little may be pending, slow readers are cut off, and come back", { timeout }, async () => {
  await tryOut(1_000, fc.record({ ...calm, refuses: fc.boolean(), fails: fc.boolean(), isTight: always }));
});

test("an object that sends nonsense can neither hang nor fill a Worker", { timeout }, async () => {
  await tryOut(500, fc.record({ ...calm, fails: fc.boolean(), lies: always, isTight: fc.boolean() }));
});

afterAll(() => {
  if (!replay) expect([...met].sort()).toEqual([...RARITIES].sort());
});
