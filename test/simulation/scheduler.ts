/**
 * Decides what happens next in a simulated service, and how time passes.
 *
 * - `step` performs one action of any kind.
 * - `pass` lets time pass without faults: pending actions happen, and timers and alarms fire when they are due.
 * - `quiesce` runs until nothing is pending, without waiting for alarms set for much later.
 * - `silence` lets hours pass, until no timer and no alarm is left.
 */

import { subjectOf } from "../../src/protocol/members.ts";
import type { Action } from "./network.ts";
import { isBusy, type SimulatedObject } from "./object.ts";
import type { Simulation } from "./simulation.ts";
import { Violation } from "./violation.ts";

/** `quiesce` doesn't wait for alarms later than this, in milliseconds. */
const SOON = 20_000;

/** How late other actions may make a timer, in milliseconds. */
const MOST_LATE = 1_000;

/** An idle object leaves memory after this long, in milliseconds. */
const LEAVES_AFTER = 10_000;

/** How much time may pass at once, in milliseconds. */
const PASSES = [1_000, 5_000, 15_000, 25_000, 60_000, 300_000, 3_600_000];

/** Durations of outages, in milliseconds: shorter and longer than calls are retried. */
const OUTAGES = [2_000, 60_000, 3_600_000];

/** The length of a silence, and how long after it nothing may be due, in milliseconds. */
const MOST_SILENCE = 6 * 3_600_000;
const AFTER_SILENCE = 2 * 3_600_000;

export class Scheduler {
  readonly #simulation: Simulation;
  readonly #choose: (among: number) => number;

  /** @param choose picks one of `among` options: a number from 0 to `among - 1` */
  constructor(simulation: Simulation, choose: (among: number) => number) {
    this.#simulation = simulation;
    this.#choose = choose;
  }

  /**
   * Performs one action: usually a pending one, else one of the clients' actions, which often resume, a fault, an eviction from memory, or
   * the passing of time.
   */
  async step(clientActions: () => Action[], resumptions: () => Action[], withFaults: boolean): Promise<void> {
    const { profile } = this.#simulation;
    const pending = () => this.pending();
    const sleeps = () => this.#sleeps();
    const faults = () => (withFaults ? this.#faults() : []);
    const reads = () => this.#simulation.reads();
    const kinds = [
      pending,
      pending,
      pending,
      clientActions,
      clientActions,
      resumptions,
      resumptions,
      sleeps,
      faults,
      reads,
    ];
    const drawn = this.#choose(kinds.length + (profile.passesTime ? 1 : 0));
    if (drawn === kinds.length) return await this.pass(this.#duration());
    const drawnKind = kinds[drawn]?.() ?? [];
    const actions = drawnKind.length > 0 ? drawnKind : clientActions();
    const action = actions[this.#choose(actions.length)];
    if (action) await this.#simulation.perform(action);
  }

  /** Returns how much time passes, in milliseconds: often so much that messages expire, but not their rows. */
  #duration(): number {
    const { retention } = this.#simulation;
    const durations = [...PASSES, 1.25 * retention, 1.75 * retention];
    return durations[this.#choose(durations.length)] ?? 0;
  }

  /** Crashes one object, or all of them. */
  async crash(): Promise<void> {
    const crashes = this.#crashes();
    const crash = crashes[this.#choose(crashes.length)];
    if (crash) await this.#simulation.perform(crash);
  }

  /** Lets time pass, in milliseconds, without new faults and without commands from clients. */
  async pass(milliseconds: number): Promise<void> {
    const simulation = this.#simulation;
    const until = simulation.now + milliseconds;
    simulation.trace.push(`${milliseconds} ms pass`);
    await this.#runUntil(() => until);
    simulation.now = Math.max(simulation.now, until);
    simulation.checkGhosts();
  }

  /** Runs until nothing is pending, in order and without faults. */
  async quiesce(): Promise<void> {
    await this.#runUntil(() => this.#simulation.now + SOON);
  }

  /** Runs everything that is due within hours, while no client sends anything. */
  async silence(): Promise<void> {
    const simulation = this.#simulation;
    const end = simulation.now + MOST_SILENCE;
    simulation.trace.push("silence");
    await this.#runUntil(() => end);
    const [next] = this.#dueBy(end + AFTER_SILENCE);
    if (next) throw new Violation(`the service never becomes idle: ${next.label}`);
  }

  /** Performs everything due by a time, in order and without faults. */
  async #runUntil(until: () => number): Promise<void> {
    const simulation = this.#simulation;
    const { passesTime, endsInSilence } = simulation.profile;
    const leaves = (passesTime || endsInSilence) && this.#choose(2) === 1;
    for (let steps = 0; steps < 20_000; steps++) {
      const next = simulation.reads()[0] ?? simulation.immediate()[0] ?? this.#dueBy(until())[0];
      if (!next) return;
      if (leaves && (next.at ?? 0) > simulation.now + LEAVES_AFTER) await this.#leaveMemory();
      await simulation.perform(next);
    }
    throw new Error("the service does not become idle");
  }

  /** Evicts idle objects from memory. */
  async #leaveMemory(): Promise<void> {
    for (const sleep of this.#sleeps()) await this.#simulation.perform(sleep);
  }

  /** Returns the actions that follow by themselves, oldest first. */
  pending(): Action[] {
    const { now } = this.#simulation;
    const latest = Math.max(now, this.#latest);
    const timers = this.#timers().filter(({ at = 0 }) => at <= latest);
    return [...this.#simulation.immediate(), ...this.#alarms(now), ...timers];
  }

  /** How far time may advance without making a timer too late. */
  get #latest(): number {
    const { timers } = this.#simulation.objects;
    return timers.reduce((least, { at = 0 }) => Math.min(least, at), Number.POSITIVE_INFINITY) + MOST_LATE;
  }

  /** Timers and alarms due by a time, in order. */
  #dueBy(time: number): Action[] {
    const { now } = this.#simulation;
    const timers = this.#timers().filter(({ at = 0 }) => at <= time);
    // An alarm that is set for the past must not keep timers from firing.
    const alarms = this.#alarms(time).filter(() => now <= time);
    const timeOf = ({ at = 0 }: Action) => Math.max(at, now);
    return [...timers, ...alarms].sort((a, b) => timeOf(a) - timeOf(b));
  }

  #timers(): Action[] {
    const { timers, network } = this.#simulation.objects;
    const own = timers.map((timer) => ({
      ...timer,
      happen: () => {
        timers.splice(timers.indexOf(timer), 1);
        timer.happen();
      },
    }));
    return [...own, ...network.timeouts()];
  }

  /** Alarms due by a time. */
  #alarms(time: number): Action[] {
    const { objects } = this.#simulation;
    return [...objects].flatMap((object): Action[] => {
      const { alarm, incarnation, skew, name } = object;
      // An object that has just set its alarm again holds the new time; the old one must not fire.
      if (alarm === undefined || (incarnation && incarnation.alarm !== alarm) || alarm - skew > time) return [];
      return [{ label: `the alarm of ${name}`, at: alarm - skew, happen: () => objects.ring(object) }];
    });
  }

  #faults(): Action[] {
    const { objects, profile, now } = this.#simulation;
    const outages = profile.withOutages ? this.#outages() : [];
    const alarms = this.#alarms(Math.min(now + SOON, this.#latest));
    return [...objects.network.faults(), ...alarms, ...this.#crashes(), ...outages];
  }

  /** Crashes of objects in memory. Those in the middle of deliveries are likelier, because other crashes matter little. */
  #crashes(): Action[] {
    const { objects } = this.#simulation;
    const awake = [...objects].filter(({ incarnation }) => incarnation);
    const busy = awake.filter(isBusy);
    const crashes = [...awake, ...busy, ...busy, ...busy].map((object) => ({
      label: `${object.name} crashes`,
      happen: () => objects.crash(object),
      isFault: true,
    }));
    const deploy = () => {
      for (const object of objects) objects.crash(object);
    };
    return [...crashes, { label: "a deploy", happen: deploy, isFault: true }];
  }

  /** Outages of an object, for all others or for one of them. */
  #outages(): Action[] {
    const objects = [...this.#simulation.objects];
    // Presence depends on the roots of its channels.
    const roots = objects.filter(({ name }) => subjectOf(name) !== undefined);
    // Roots from which messages are being requested matter most.
    const asked = objects.filter(({ name }) => this.#isAsked(name));
    return [...objects, ...roots, ...roots, ...asked, ...asked, ...asked, ...asked].map((object) => ({
      label: `${object.name} is cut off`,
      happen: () => this.#cutOff(object, objects),
      isFault: true,
    }));
  }

  #isAsked(name: string): boolean {
    return this.#simulation.objects.network.labelsOf(name).some((label) => label.includes(": recover "));
  }

  #cutOff({ name }: SimulatedObject, objects: SimulatedObject[]): void {
    const simulation = this.#simulation;
    const milliseconds = OUTAGES[this.#choose(OUTAGES.length)] ?? 0;
    const from = this.#choose(2) === 1 ? objects[this.#choose(objects.length)]?.name : undefined;
    simulation.trace.push(`  from ${from ?? "all"}, for ${milliseconds} ms`);
    simulation.objects.network.outages.begin(name, from, simulation.now + milliseconds);
    if (milliseconds >= 3_600_000) simulation.cover("an outage of an hour");
  }

  /** Evictions from memory. As in the runtime, only objects without work in progress are evicted. */
  #sleeps(): Action[] {
    const { objects } = this.#simulation;
    const idle = [...objects].filter(
      ({ name, incarnation }) => incarnation?.work === 0 && !objects.network.concerns(name),
    );
    return idle.map((object) => ({ label: `${object.name} hibernates`, happen: () => objects.end(object) }));
  }
}
