/** The object that runs an experiment, as the experiment sees it. */
import type { Facts } from "../facts.ts";

export interface Env {
  PROBE: DurableObjectNamespace<Askable>;
  /** The key that requests must carry; without one, all are refused. */
  KEY?: string;
  /** Differs between deploys. */
  VERSION?: string;
}

/** The calls between objects, which the class in `object.ts` implements. */
export interface Askable extends Rpc.DurableObjectBranded {
  ask(experiment: string, ask: Facts): Promise<Facts>;
}

export interface Host {
  readonly name: string;
  readonly context: DurableObjectState;
  /** Returns a new, unused stub of the object named `name`. */
  peer(name: string): DurableObjectStub<Askable>;
}

export type Experiment = (ask: Facts) => Facts | Promise<Facts>;

/** Resolves after some milliseconds. */
export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
