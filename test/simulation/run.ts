/** Runs a simulated service, and checks everything that can be checked of any. */
import { parseReason } from "../../src/protocol/errors.ts";
import { checkAgreement, checkAlive, checkCount, checkLeftovers, checkLinks, checkUnneeded } from "./checks.ts";
import { CHANNELS, clientActions, HOMES, resumptions } from "./client-actions.ts";
import type { CoverageGoal } from "./coverage.ts";
import { VISITOR } from "./members-log.ts";
import { MEMBER_CHANNELS } from "./members-truth.ts";
import { checkPresence } from "./presence-checks.ts";
import type { Profile } from "./profile.ts";
import { Scheduler } from "./scheduler.ts";
import type { SimulatedClient } from "./sim-client.ts";
import { Simulation } from "./simulation.ts";
import { isBusy, isSlowConsumer } from "./socket.ts";
import { Violation } from "./violation.ts";

/**
 * Runs a service as the choices say, and returns the coverage goals it reached. Connections opened after the last
 * fault must stay open, even while the consequences of that fault still come in.
 * @throws Error with the trace of the run, if a guarantee was violated
 */
export async function run(choices: number[], profile: Profile): Promise<Set<CoverageGoal>> {
  let i = 0;
  const choose = (among: number) => (choices[i++] ?? 0) % among;
  const simulation = new Simulation(choose, profile);
  const scheduler = new Scheduler(simulation, choose);
  const step = (withFaults: boolean) =>
    scheduler.step(
      () => clientActions(simulation),
      () => resumptions(simulation),
      withFaults,
    );
  try {
    if (choices.length % 2 === 0) await settleIn(simulation, scheduler);
    if (profile.withFullStorage) simulation.rowsLeft = (choices[0] ?? 0) % 100;
    while (i < (choices.length * 2) / 3) await step(profile.withFaults);
    if (profile.withFaults) await scheduler.crash();
    if (choose(2) === 1) simulation.objects.network.outages.end();
    while (i < choices.length) await step(false);
    simulation.rowsLeft = Number.POSITIVE_INFINITY;
    if (profile.withFullStorage) pingAll(simulation);
    if (profile.endsInSilence) await scheduler.silence();
    else await useEverything(simulation, scheduler);
    await checkAll(simulation, scheduler);
  } catch (error) {
    throw new Error(`${error}\n\nTrace:\n${simulation.trace.join("\n")}`, { cause: error });
  }
  return simulation.covered;
}

/** Begins with clients in trees that have already grown. */
async function settleIn(simulation: Simulation, scheduler: Scheduler): Promise<void> {
  const clients = [...HOMES, ...HOMES].map((home) => simulation.connect(home));
  await scheduler.quiesce();
  const from = simulation.profile.withHistory ? ({ since: "now" } as const) : undefined;
  for (const [i, client] of clients.entries()) client.subscribe(CHANNELS[i % CHANNELS.length] ?? "", from);
  await scheduler.quiesce();
}

/** Wakes objects that could store nothing, not even when to try again: the next command makes them do so. */
function pingAll({ clients }: Simulation): void {
  for (const client of clients) if (client.open) client.ping();
}

/** Settles, uses every channel once more, and settles again; nothing may remain. */
async function useEverything(simulation: Simulation, scheduler: Scheduler): Promise<void> {
  simulation.objects.network.outages.end();
  // Work that failed for an hour is retried within ten minutes.
  if (simulation.profile.withOutages || simulation.profile.withFullStorage) await scheduler.pass(660_000);
  await scheduler.quiesce();
  // Otherwise some objects would refuse clients because they don't know the current secret.
  if (simulation.profile.withTokens) simulation.restartAll();
  simulation.noteLinksToAll();
  for (const home of CHANNELS) {
    const open = simulation.clients.filter((client) => client.open);
    // Makes room for one more, if connections are limited.
    if (simulation.profile.clientLimit > 0 && open[0]) simulation.disconnect(open[0]);
    await scheduler.quiesce();
    const client = simulation.connect(home);
    await scheduler.quiesce();
    // Tiny buffers couldn't hold all of these at once.
    for (const channel of CHANNELS) {
      client.announce(channel);
      await scheduler.quiesce();
    }
    if (simulation.profile.withPresence && home === CHANNELS.at(-1)) await usePresence(client, scheduler);
  }
}

/** Has something announced on each presence channel that isn't full. */
async function usePresence(client: SimulatedClient, scheduler: Scheduler): Promise<void> {
  for (const channel of MEMBER_CHANNELS) {
    client.enter(channel, { member: VISITOR, data: "" });
    await scheduler.quiesce();
    client.leave(channel);
    await scheduler.quiesce();
  }
}

async function checkAll(simulation: Simulation, scheduler: Scheduler): Promise<void> {
  const { profile } = simulation;
  checkAgreement(simulation);
  checkAlive(simulation);
  if (profile.endsInSilence) checkLinks(simulation);
  if (profile.endsInSilence && !profile.withFullStorage) checkUnneeded(simulation);
  if (!profile.endsInSilence && !profile.withFullStorage) checkLeftovers(simulation);
  if (profile.clientLimit > 0) {
    // A crash can leave the root of `all` with a wrong count until it asks, as it does before it refuses clients for long.
    if (!profile.endsInSilence) simulation.recountAll();
    await scheduler.quiesce();
    checkCount(simulation);
  }
  if (profile.withPresence && profile.withHistory) await checkPresence(simulation, scheduler);
  for (const client of simulation.clients) checkEnding(client, profile);
}

/** Checks that a client that neither left nor lost its object was closed for a legitimate reason. */
function checkEnding({ name, ending }: SimulatedClient, profile: Profile): void {
  if (!ending || ending.code === 1005) return;
  const { code, reason } = ending;
  if (profile.withFaults && code === 1006) return;
  const fault = parseReason(reason)?.code;
  if ((profile.withFaults || profile.withFullStorage) && code === 1013 && fault === "unavailable") return;
  if (profile.clientLimit > 0 && code === 1013 && isBusy(reason)) return;
  if (profile.withTokens && code === 1008 && fault === "expired") return;
  if (profile.withSlowReaders && code === 1013 && isSlowConsumer(reason)) return;
  if (profile.withTinyBuffers && [1008, 1013].includes(code) && fault !== undefined) return;
  throw new Violation(`${name} was closed with ${code} ${reason}`);
}
