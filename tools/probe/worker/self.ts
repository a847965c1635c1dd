/** What an experiment knows of the object that carries it out. */
import type { Facts } from "../facts.ts";

export interface Env {
  PROBE: DurableObjectNamespace<Askable>;
  /** What the probe's requests have to bring; without one none is answered. */
  KEY?: string;
  /** Differs from one deploy to the next. */
  VERSION?: string;
}

/** What objects call each other for; the class in `object.ts` is that. */
export interface Askable extends Rpc.DurableObjectBranded {
  ask(experiment: string, ask: Facts): Promise<Facts>;
}

export interface Self {
  readonly name: string;
  readonly context: DurableObjectState;
  /** A new stub of the object named `name`, which nothing has used. */
  peer(name: string): DurableObjectStub<Askable>;
}

export type Experiment = (ask: Facts) => Facts | Promise<Facts>;

/** Ends after some milliseconds. */
export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
