/** Calls that fail, in ways that only the platform can have them fail, and what the caller sees. */
import { type Facts, numberIn, textIn } from "../facts.ts";
import { textOf } from "./errors.ts";
import { type Askable, pause, type Self } from "./self.ts";

const CHUNK = 16 << 20;

/**
 * Has another object do what ends badly. Answers with what its caller saw: `first`, then on the `same` stub,
 * then on a `fresh` one.
 * @param ask `peer`: that object; `does`: the experiment
 */
export async function provoke(self: Self, ask: Facts): Promise<Facts> {
  const peer = textIn(ask, "peer");
  const stub = self.peer(peer);
  const first = await outcome(stub, textIn(ask, "does"));
  const same = await outcome(stub, "nothing");
  const fresh = await outcome(self.peer(peer), "nothing");
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

/** Fails as a programming error would. */
export function fail(): never {
  throw new TypeError("thrown by the probe");
}

/** Fails with what says that it may be repeated, to see whether callers get to know. */
export function failRetryable(): never {
  throw Object.assign(new Error("thrown by the probe"), { retryable: true });
}

/** Resets the object. */
export function abort({ context }: Self): Facts {
  context.abort("aborted by the probe");
  return {};
}

const ROUND = 1e9;

/**
 * Keeps the object from everything else, for 1 to 3 seconds a round. It counts, as the clock stands still
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

/** Takes more memory than there is, 1 GiB at most. */
export async function exhaust(): Promise<Facts> {
  const chunks: Uint8Array[] = [];
  while (chunks.length < 64) {
    chunks.push(new Uint8Array(CHUNK).fill(1));
    await pause(1);
  }
  return { chunks: chunks.length };
}
