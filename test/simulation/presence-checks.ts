/** Checks of members at the end of a run, when all faults are over. */
import { presenceOf } from "../../src/protocol/members.ts";
import { MEMBER_CHANNELS } from "./members-truth.ts";
import type { Scheduler } from "./scheduler.ts";
import type { Simulation } from "./simulation.ts";
import { check } from "./violation.ts";

/** The longest delay of a retry, with some slack, in milliseconds. */
const RETRIES = 660_000;

/** How soon the root of a presence channel asks objects again, in milliseconds. */
const ASKS = 61_000;

/** Time in which all reports come after they were asked for, in milliseconds. */
const REPORTS = 30_000;

/** Lets everything settle, and checks that the members are exactly those of open connections. */
export async function checkPresence(simulation: Simulation, scheduler: Scheduler): Promise<void> {
  const { members, profile } = simulation;
  const { grace } = members.rules;
  simulation.objects.network.outages.end();
  await scheduler.pass((profile.withFaults || profile.withFullStorage ? RETRIES : 0) + grace + REPORTS);
  checkAgainstLog(simulation, true);
  // What stays because an object crashed with nothing left to do ends when the members are asked for.
  await scheduler.pass(ASKS);
  await checkLists(simulation, scheduler, true);
  await scheduler.pass(grace + REPORTS);
  checkAgainstLog(simulation, false);
  await checkLists(simulation, scheduler, false);
  checkWatching(simulation);
  if (profile.endsInSilence) await scheduler.silence();
  checkAgainstLog(simulation, false);
}

function checkAgainstLog({ members }: Simulation, mayStay: boolean): void {
  members.scan();
  if (!members.rules.isComplete) return;
  for (const channel of MEMBER_CHANNELS) {
    members.checkMembers(channel, members.log(channel).members, mayStay, "the changes");
  }
}

/** Asks for the members of each channel, as a Worker does for `GET`. */
async function checkLists(simulation: Simulation, scheduler: Scheduler, mayStay: boolean): Promise<void> {
  const { members, objects } = simulation;
  for (const channel of MEMBER_CHANNELS) {
    const asked = objects.askFromWorker(presenceOf(channel), "members", undefined);
    const after = members.log(channel).newest;
    await scheduler.quiesce();
    const answer = await asked;
    check("members" in answer, () => `${channel} has no list of members`);
    const list = answer.members;
    members.checkList(channel, answer.position, list, after, "the list");
    const found = new Map(list.map(({ member, data }) => [member, data]));
    members.checkMembers(channel, found, mayStay, "the list");
  }
}

function checkWatching({ clients }: Simulation): void {
  for (const client of clients) {
    for (const [channel, watching] of client.watching) {
      watching.checkComplete(client.subscribedSince(presenceOf(channel)) !== undefined);
    }
  }
}
