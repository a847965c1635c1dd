/** `ping` and `info`: asked when everything before has taken effect, and of each connection anew. */

import type { Environment } from "./environment.ts";
import { Refused } from "./errors.ts";
import { limited } from "./timing.ts";
import type { Transport } from "./transport.ts";
import type { RequestOptions } from "./types.ts";

interface Question {
  /** The newest announcement before it. */
  readonly sequence: number;
  /** The connection that was asked. */
  link: Transport | undefined;
  ask(link: Transport): void;
  reject(error: Error): void;
}

export class Questions {
  readonly #environment: Environment;
  readonly #changed: () => void;
  readonly #pending = new Set<Question>();

  /** @param changed called when there are more or fewer of them */
  constructor(environment: Environment, changed: () => void) {
    this.#environment = environment;
    this.#changed = changed;
  }

  get size(): number {
    return this.#pending.size;
  }

  /**
   * Asks for something.
   * @param sequence the number of the newest announcement
   * @throws Refused if the server refuses, or time is over
   */
  ask<T>(
    sequence: number,
    options: RequestOptions,
    act: (link: Transport, done: (outcome: T | Refused) => void) => void,
  ): Promise<T> {
    return limited<T>(this.#environment, options, (resolve, reject) => {
      const leave = () => {
        this.#pending.delete(question);
        this.#changed();
        return new Refused("unavailable", `the server didn't reply within ${options.timeout} ms`);
      };
      const ask = (link: Transport) =>
        act(link, (outcome) => {
          if (outcome instanceof Refused) reject(outcome);
          else resolve(outcome);
          leave();
        });
      const question: Question = { sequence, link: undefined, ask, reject };
      this.#pending.add(question);
      this.#changed();
      return leave;
    });
  }

  /** Asks a connection everything that comes before an announcement. */
  look(link: Transport, sequence: number): void {
    for (const question of this.#pending) {
      if (question.link === link || question.sequence >= sequence) continue;
      question.link = link;
      question.ask(link);
    }
  }

  fail(error: Error): void {
    for (const { reject } of this.#pending) reject(error);
    this.#pending.clear();
  }
}
