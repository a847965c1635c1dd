import fc from "fast-check";
import type { From } from "../../../src/protocol/positions.ts";
import { propertiesOf } from "../runs.ts";
import { checkCaughtUp, checkNothingLeft } from "./checks.ts";
import { type Case, casesIn } from "./coverage.ts";
import { EventsJudge } from "./events-judge.ts";
import { type Action, type Profile, Simulation } from "./simulation.ts";

/** Most open streams and polls. */
const MAX_OPEN = 6;

const CHANNELS = [["all"], ["a", "all"], ["a", "b", "all"], ["b", "all"], [..."abcdefg", "all"]];

/** Possible actions of clients and publishers. */
function clientActions(simulation: Simulation): Action[] {
  const { truth, readers, pollers } = simulation;
  const openClients = [...readers, ...pollers].filter(({ over }) => !over).length;
  const said = [...simulation.used].flatMap((channel) => [
    { label: `a message on ${channel}`, happen: () => simulation.announce(channel) },
    { label: `history of ${channel} expires`, happen: () => truth.forget(channel) },
  ]);
  const gaps = [...simulation.used]
    .filter((channel) => truth.hasHistory(channel))
    .map((channel) => ({ label: `a gap on ${channel}`, happen: () => simulation.skip(channel) }));
  return [...said, ...said, ...gaps, ...(openClients < MAX_OPEN ? openings(simulation) : [])];
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
  return [...fresh, ...lines, ...polls, ...resumes(simulation), ...resumes(simulation)];
}

/** Streams that resume others after any of their events. */
function resumes(simulation: Simulation): Action[] {
  return simulation.readers.flatMap(({ name, judge, object }) => {
    if (!(judge instanceof EventsJudge) || object.hasSentInvalid || judge.ids.length === 0) return [];
    const id = judge.ids[simulation.choose(judge.ids.length)];
    const { channels, from } = judge;
    return [
      {
        label: `${name} resumes after ${id}`,
        happen: () => void simulation.openEvents(channels, from, id),
      },
    ];
  });
}

/** Runs a simulation by choices, checks it, and returns the rare cases that it reached. */
async function play(choices: number[], profile: Profile): Promise<Set<Case>> {
  let i = 0;
  const simulation = new Simulation((among) => (choices[i++] ?? 0) % Math.max(1, among), profile);
  try {
    while (i < choices.length) {
      const objectActions = [...simulation.objectActions(), ...simulation.reading()];
      const others = OTHERS[simulation.choose(OTHERS.length)] ?? clientActions;
      const isDue = simulation.choose(3) > 0 && objectActions.length > 0;
      await simulation.step(isDue ? objectActions : others(simulation));
    }
    await checkCaughtUp(simulation);
    const cases = casesIn(simulation);
    await checkNothingLeft(simulation);
    return cases;
  } catch (error) {
    throw new Error(`${error}\n\nWhat happened:\n${simulation.script.join("\n")}`, { cause: error });
  }
}

const leaving = (simulation: Simulation) => simulation.leaving();
const timing = (simulation: Simulation) => simulation.timing();
const faults = (simulation: Simulation) => simulation.faults();

/** Other actions; repeated entries are likelier. */
const OTHERS = [
  clientActions,
  clientActions,
  clientActions,
  clientActions,
  faults,
  faults,
  faults,
  timing,
  timing,
  leaving,
];

const never = fc.constant(false);
const always = fc.constant(true);
const sometimes = fc.boolean();
const calm = {
  refuses: never,
  fails: never,
  lies: never,
  isTight: never,
  isWithoutHistory: sometimes,
  endsInSilence: sometimes,
};

const property = propertiesOf<Profile, Case>(play);

property("streams deliver every message once, and resume after any id", {
  tags: ["events-resume"],
  runs: 250,
  scenarios: fc.record(calm),
  goals: ["resumed complete", "resumed gap", "without history", "a poll answered"],
});

property("temporarily refused channels become live, however busy the stream is", {
  runs: 300,
  scenarios: fc.record({ ...calm, refuses: always }),
  goals: ["refused at first, live later", "refused for good", "denied", "a poll denied"],
});

property("no stream or poll hangs, however its object fails", {
  runs: 400,
  scenarios: fc.record({ ...calm, refuses: sometimes, fails: always }),
  goals: ["broken off", "ended with a reason"],
});

property("with a small budget, slow readers are dropped, and resume", {
  tags: ["stream-buffer"],
  runs: 300,
  scenarios: fc.record({ ...calm, refuses: sometimes, fails: sometimes, isTight: always }),
});

property("an object that sends invalid lines can't block a Worker or exhaust its memory", {
  runs: 150,
  scenarios: fc.record({ ...calm, fails: sometimes, lies: always, isTight: sometimes }),
});
