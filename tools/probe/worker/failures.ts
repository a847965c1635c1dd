/** Calls that fail in ways that only the platform can cause, and what their caller observes. */
import { type Facts, numberIn, textIn } from "../facts.ts";
import { textOf } from "./errors.ts";
import { type Askable, type Host, pause } from "./host.ts";

const CHUNK = 16 << 20;

/**
 * Makes another object fail. Returns what its caller observed: `first`, then on the `same` stub, then on a `fresh` one.
 * @param ask `peer`: that object; `does`: the experiment
 */
export async function provoke(host: Host, ask: Facts): Promise<Facts> {
  const peer = textIn(ask, "peer");
  const stub = host.peer(peer);
  const first = await outcome(stub, textIn(ask, "does"));
  const same = await outcome(stub, "nothing");
  const fresh = await outcome(host.peer(peer), "nothing");
  return { first, same, fresh };
}

async function outcome(stub: DurableObjectStub<Askable>, experiment: string): Promise<string> {
  try {
    await stub.ask(experiment, {});
    return "answered";
  } catch (error) {
    return textOf(error);
  }
}

/** Throws as a bug would. */
export function fail(): never {
  throw new TypeError("thrown by the probe");
}

/** Throws an error that claims to be retryable, to see whether callers see that. */
export function failRetryable(): never {
  throw Object.assign(new Error("thrown by the probe"), { retryable: true });
}

/** Resets the object. */
export function abort({ context }: Host): Facts {
  context.abort("aborted by the probe");
  return {};
}

const ROUND = 1e9;

/**
 * Blocks the object for 1 to 3 seconds per round. It counts instead of measuring time, because the clock stands still
 * while code runs.
 * @param ask `rounds`
 */
export function block(ask: Facts): Facts {
  const rounds = numberIn(ask, "rounds");
  let sum = 0;
  for (let round = 0; round < rounds; round++) {
    for (let step = 0; step < ROUND; step++) sum = (Math.imul(sum, 31) + step) | 0;
  }
  return { sum };
}

/** Allocates more memory than the object may use, up to 1 GiB. */
export async function exhaust(): Promise<Facts> {
  const chunks: Uint8Array[] = [];
  while (chunks.length < 64) {
    chunks.push(new Uint8Array(CHUNK).fill(1));
    await pause(1);
  }
  return { chunks: chunks.length };
}
