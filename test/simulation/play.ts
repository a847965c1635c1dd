/** Plays a simulated service out, and checks all that can be checked of any. */
import { parseReason } from "../../src/protocol/errors.ts";
import { Breach } from "./breach.ts";
import { checkAlive, checkCount, checkLeftovers, checkLinks, checkTogether } from "./checks.ts";
import { Course } from "./course.ts";
import type { Kind } from "./kind.ts";
import type { Rarity } from "./rarities.ts";
import type { SimulatedClient } from "./sim-client.ts";
import { Simulation } from "./simulation.ts";
import { isBusy, isTooLate } from "./socket.ts";
import { CHANNELS, HOMES, wishes } from "./wishes.ts";

/**
 * Plays a service out as the choices say; says what it has met. What is opened after the last fault has to stay: that
 * shows while its consequences still come in.
 * @throws Error with the script of all that happened, if a promise was broken
 */
export async function play(choices: number[], kind: Kind): Promise<Set<Rarity>> {
  let i = 0;
  const choose = (among: number) => (choices[i++] ?? 0) % among;
  const simulation = new Simulation(choose, kind);
  const course = new Course(simulation, choose);
  try {
    if (choices.length % 2 === 0) await settleIn(simulation, course);
    if (kind.withFullStorage) simulation.rowsLeft = (choices[0] ?? 0) % 100;
    while (i < (choices.length * 2) / 3) await course.step(wishes(simulation), kind.withFaults);
    if (kind.withFaults) await course.crash();
    if (choose(2) === 1) simulation.objects.network.outages.end();
    while (i < choices.length) await course.step(wishes(simulation), false);
    simulation.rowsLeft = Number.POSITIVE_INFINITY;
    if (kind.withFullStorage) pingAll(simulation);
    if (kind.endsInSilence) await course.silence();
    else await useEverything(simulation, course);
    await checkAll(simulation, course);
  } catch (error) {
    throw new Error(`${error}\n\nWhat happened:\n${simulation.script.join("\n")}`, { cause: error });
  }
  return simulation.met;
}

/** Begins with clients in trees that have grown already. */
async function settleIn(simulation: Simulation, course: Course): Promise<void> {
  const clients = [...HOMES, ...HOMES].map((home) => simulation.connect(home));
  await course.quiesce();
  for (const [i, client] of clients.entries()) client.subscribe(CHANNELS[i % CHANNELS.length] ?? "");
  await course.quiesce();
}

/** An object that could store nothing, not even when to look again, does so when it is used next. */
function pingAll({ clients }: Simulation): void {
  for (const client of clients) if (client.open) client.ping();
}

/** Comes to rest, has every channel used once more, and comes to rest again: nothing may be left over. */
async function useEverything(simulation: Simulation, course: Course): Promise<void> {
  simulation.objects.network.outages.end();
  // What could not be done for an hour is tried again within ten minutes.
  if (simulation.kind.withOutages || simulation.kind.withFullStorage) await course.pass(660_000);
  await course.quiesce();
  // Else some may not know the secret of today, and let nobody in.
  if (simulation.kind.withTokens) simulation.wakeAnew();
  simulation.noteWhoHearsEveryone();
  for (const home of CHANNELS) {
    const open = simulation.clients.filter((client) => client.open);
    // Room for one more, where it is limited.
    if (simulation.kind.clientLimit > 0 && open[0]) simulation.disconnect(open[0]);
    await course.quiesce();
    const client = simulation.connect(home);
    await course.quiesce();
    // One after another: where little may wait, that is less than this.
    for (const channel of CHANNELS) {
      client.announce(channel);
      await course.quiesce();
    }
  }
}

async function checkAll(simulation: Simulation, course: Course): Promise<void> {
  const { kind } = simulation;
  checkTogether(simulation);
  checkAlive(simulation);
  if (kind.endsInSilence) checkLinks(simulation);
  if (!kind.endsInSilence && !kind.withFullStorage) checkLeftovers(simulation);
  if (kind.clientLimit > 0) {
    // A crash can leave the root of `all` with a wrong number until it asks, which it does before it refuses for long.
    if (!kind.endsInSilence) simulation.recountAll();
    await course.quiesce();
    checkCount(simulation);
  }
  for (const client of simulation.clients) checkEnding(client, kind);
}

/** A client that neither left nor lost its object was closed with a reason, and only for one that there is. */
function checkEnding({ name, ending }: SimulatedClient, kind: Kind): void {
  if (!ending || ending.code === 1005) return;
  const { code, reason } = ending;
  if (kind.withFaults && code === 1006) return;
  const fault = parseReason(reason)?.code;
  if ((kind.withFaults || kind.withFullStorage) && code === 1013 && fault === "unavailable") return;
  if (kind.clientLimit > 0 && code === 1013 && isBusy(reason)) return;
  if (kind.withTokens && code === 1008 && fault === "expired") return;
  if (kind.withLateReaders && code === 1013 && isTooLate(reason)) return;
  if (kind.withTinyBuffers && [1008, 1013].includes(code) && fault !== undefined) return;
  throw new Breach(`${name} was closed with ${code} ${reason}`);
}
