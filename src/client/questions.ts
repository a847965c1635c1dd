/**
 * Pending `ping` and `info` calls, which are sent after all earlier calls took effect, and requests for members. They are
 * sent again on each connection.
 */
import { isTemporary } from "../protocol/errors.ts";
import { backoff } from "./backoff.ts";
import type { Environment } from "./environment.ts";
import { Refused } from "./errors.ts";
import { after, limited } from "./timing.ts";
import type { List, Transport } from "./transport.ts";
import type { RequestOptions } from "./types.ts";

/** The sequence number of requests for members, which await no announcement. */
const LIST = -1;

interface Question {
  /** The sequence number of the last announcement before it. */
  readonly sequence: number;
  /** The connection on which it was sent. */
  asked: Transport | undefined;
  ask(transport: Transport): void;
  reject(error: Error): void;
}

export class Questions {
  readonly #environment: Environment;
  readonly #changed: () => void;
  readonly #pending = new Set<Question>();

  /** @param changed called when a question is added or removed */
  constructor(environment: Environment, changed: () => void) {
    this.#environment = environment;
    this.#changed = changed;
  }

  get size(): number {
    return this.#pending.size;
  }

  /**
   * Adds a question.
   * @param sequence the sequence number of the newest announcement
   * @throws Refused if the server refuses it, or the timeout expires
   */
  ask<T>(
    sequence: number,
    options: RequestOptions,
    act: (transport: Transport, done: (outcome: T | Refused) => void) => void,
  ): Promise<T> {
    return limited<T>(this.#environment, options, (resolve, reject) => {
      const remove = () => {
        this.#pending.delete(question);
        this.#changed();
        return new Refused("unavailable", `the server didn't reply within ${options.timeout} ms`);
      };
      const ask = (transport: Transport) =>
        act(transport, (outcome) => {
          if (outcome instanceof Refused) reject(outcome);
          else resolve(outcome);
          remove();
        });
      const question: Question = { sequence, asked: undefined, ask, reject };
      this.#pending.add(question);
      this.#changed();
      return remove;
    });
  }

  /** Asks for the members of a channel, at once, until the server replies or refuses that for good. */
  list(channel: string, signal: AbortSignal): Promise<List> {
    const environment = this.#environment;
    let failures = 0;
    const ask = (transport: Transport, done: (outcome: List | Refused) => void) =>
      transport.members(channel, (outcome) => {
        if (!(outcome instanceof Refused && isTemporary(outcome.code))) return done(outcome);
        after(environment, backoff(environment, failures), transport.signal, () => {
          if (!signal.aborted) ask(transport, done);
        });
        failures += 1;
      });
    return this.ask(LIST, { signal }, ask);
  }

  /** Sends the questions that precede an announcement, unless already sent on this connection. */
  send(transport: Transport, sequence: number): void {
    for (const question of this.#pending) {
      if (question.asked === transport || question.sequence >= sequence) continue;
      question.asked = transport;
      question.ask(transport);
    }
  }

  /** @param keepsLists whether requests for members stay pending */
  fail(error: Error, keepsLists = false): void {
    for (const question of this.#pending) {
      if (keepsLists && question.sequence === LIST) continue;
      this.#pending.delete(question);
      question.reject(error);
    }
  }
}
