/**
 * The course of a simulated service: what happens next, as choices say; and how time passes.
 *
 * - `step` has one thing happen, whatever it is.
 * - `pass` lets some time pass without faults: what is pending happens, timers and alarms go off when they are due.
 * - `quiesce` lets everything come to rest, but does not wait for alarms that are set for much later.
 * - `silence` lets hours pass, until no timer and no alarm is left.
 */
import { Breach } from "./breach.ts";
import { isBusy, type SimulatedObject } from "./life.ts";
import type { Action } from "./network.ts";
import type { Simulation } from "./simulation.ts";

/** Alarms set for later than this, in milliseconds, are not waited for when everything is to come to rest. */
const SOON = 20_000;

/** How late a timer may be because of others, in milliseconds. */
const MOST_LATE = 1_000;

/** Alone for so long, an object leaves memory, in milliseconds. */
const LEAVES_AFTER = 10_000;

/** Times that pass, in milliseconds. */
const PASSES = [1_000, 5_000, 15_000, 25_000, 60_000, 300_000];

/** How long objects can't be reached, in milliseconds: shorter and longer than calls to them are repeated. */
const OUTAGES = [2_000, 60_000, 3_600_000];

/** The longest silence, in milliseconds, and how long after it nothing is to be due. */
const MOST_SILENCE = 6 * 3_600_000;
const AFTER_SILENCE = 2 * 3_600_000;

export class Course {
  readonly #simulation: Simulation;
  readonly #choose: (among: number) => number;

  /** @param choose picks one of `among` things: a number from 0 to `among - 1` */
  constructor(simulation: Simulation, choose: (among: number) => number) {
    this.#simulation = simulation;
    this.#choose = choose;
  }

  /**
   * Lets one thing happen: mostly what is pending anyway, else one of the caller's `wishes`, a fault, an object
   * leaving memory, or some time that passes.
   */
  async step(wishes: Action[], withFaults: boolean): Promise<void> {
    const { kind } = this.#simulation;
    const pending = this.pending();
    const faults = withFaults ? this.#faults() : [];
    const reads = this.#simulation.reads();
    const kinds = [pending, pending, pending, wishes, wishes, this.#sleeps(), faults, reads];
    const drawn = this.#choose(kinds.length + (kind.passesTime ? 1 : 0));
    if (drawn === kinds.length) return await this.pass(PASSES[this.#choose(PASSES.length)] ?? 0);
    const drawnKind = kinds[drawn] ?? [];
    const actions = drawnKind.length > 0 ? drawnKind : wishes;
    const action = actions[this.#choose(actions.length)];
    if (action) await this.#simulation.perform(action);
  }

  /** Has some object crash, or all of them. */
  async crash(): Promise<void> {
    const crashes = this.#crashes();
    const crash = crashes[this.#choose(crashes.length)];
    if (crash) await this.#simulation.perform(crash);
  }

  /** Lets some milliseconds pass, in which nothing fails that has not failed before, and nobody sends anything. */
  async pass(milliseconds: number): Promise<void> {
    const simulation = this.#simulation;
    const until = simulation.now + milliseconds;
    simulation.script.push(`${milliseconds} ms pass`);
    await this.#goOn(() => until);
    simulation.now = Math.max(simulation.now, until);
  }

  /** Lets everything come to rest, in order and without faults. */
  async quiesce(): Promise<void> {
    await this.#goOn(() => this.#simulation.now + SOON);
  }

  /** Lets everything happen that anybody has to do, without a word from anybody. */
  async silence(): Promise<void> {
    const simulation = this.#simulation;
    const end = simulation.now + MOST_SILENCE;
    simulation.script.push("silence");
    await this.#goOn(() => end);
    const [next] = this.#dueBy(end + AFTER_SILENCE);
    if (next) throw new Breach(`it never comes to rest: ${next.label}`);
  }

  /** Has everything happen that is due by a time, in order and without faults. */
  async #goOn(until: () => number): Promise<void> {
    const simulation = this.#simulation;
    const { passesTime, endsInSilence } = simulation.kind;
    const leaves = (passesTime || endsInSilence) && this.#choose(2) === 1;
    for (let steps = 0; steps < 20_000; steps++) {
      const [next] = [...simulation.reads(), ...simulation.immediate(), ...this.#dueBy(until())];
      if (!next) return;
      if (leaves && (next.at ?? 0) > simulation.now + LEAVES_AFTER) await this.#leaveMemory();
      await simulation.perform(next);
    }
    throw new Error("does not come to rest");
  }

  /** Objects leave memory that have nothing to do. */
  async #leaveMemory(): Promise<void> {
    for (const sleep of this.#sleeps()) await this.#simulation.perform(sleep);
  }

  /** What would happen by itself, oldest first. */
  pending(): Action[] {
    const { now } = this.#simulation;
    const latest = Math.max(now, this.#latest);
    const timers = this.#timers().filter(({ at = 0 }) => at <= latest);
    return [...this.#simulation.immediate(), ...this.#alarms(now), ...timers];
  }

  /** Until when time may go on, so that no timer is too late. */
  get #latest(): number {
    const { timers } = this.#simulation.objects;
    return timers.reduce((least, { at = 0 }) => Math.min(least, at), Number.POSITIVE_INFINITY) + MOST_LATE;
  }

  /** Timers and alarms that are due by a time, in order. */
  #dueBy(time: number): Action[] {
    const due = [...this.#timers(), ...this.#alarms(time)].filter(({ at = 0 }) => at <= time);
    return due.sort((a, b) => (a.at ?? 0) - (b.at ?? 0));
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

  /** The alarms that are due by a time. */
  #alarms(time: number): Action[] {
    const { objects } = this.#simulation;
    return [...objects].flatMap((object): Action[] => {
      const { alarm, life, skew, name } = object;
      // It is not what it was if the object has just set it anew.
      if (alarm === undefined || (life && life.alarm !== alarm) || alarm - skew > time) return [];
      return [{ label: `the alarm of ${name}`, at: alarm - skew, happen: () => objects.ring(object) }];
    });
  }

  #faults(): Action[] {
    const { objects, kind, now } = this.#simulation;
    const outages = kind.withOutages ? this.#outages() : [];
    const alarms = this.#alarms(Math.min(now + SOON, this.#latest));
    return [...objects.network.faults(), ...alarms, ...this.#crashes(), ...outages];
  }

  /** Those in the middle of deliveries are likelier: others cost little. */
  #crashes(): Action[] {
    const { objects } = this.#simulation;
    const awake = [...objects].filter(({ life }) => life);
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

  /** Others can't reach an object, or one of them can't. */
  #outages(): Action[] {
    const objects = [...this.#simulation.objects];
    return objects.map((object) => ({
      label: `${object.name} is cut off`,
      happen: () => this.#cutOff(object, objects),
      isFault: true,
    }));
  }

  #cutOff({ name }: SimulatedObject, objects: SimulatedObject[]): void {
    const simulation = this.#simulation;
    const milliseconds = OUTAGES[this.#choose(OUTAGES.length)] ?? 0;
    const from = this.#choose(2) === 1 ? objects[this.#choose(objects.length)]?.name : undefined;
    simulation.script.push(`  from ${from ?? "all"}, for ${milliseconds} ms`);
    simulation.objects.network.outages.begin(name, from, simulation.now + milliseconds);
    if (milliseconds >= 3_600_000) simulation.meet("an outage of an hour");
  }

  /** As in the runtime, an object leaves memory only when nothing of it or for it is under way. */
  #sleeps(): Action[] {
    const { objects } = this.#simulation;
    const idle = [...objects].filter(({ name, life }) => life?.work === 0 && !objects.network.concerns(name));
    return idle.map((object) => ({ label: `${object.name} sleeps`, happen: () => objects.end(object) }));
  }
}
