/** `ping` and `info`: they are asked when all that came before them has taken effect, and by each connection anew. */
import type { Channel } from "./channel.ts";
import { Refused } from "./errors.ts";
import { checkOptions } from "./inputs.ts";
import type { Transport } from "./socket.ts";
import { limitTime } from "./timing.ts";
import type { RequestOptions } from "./types.ts";
import type { World } from "./world.ts";

interface Question {
  /** Announcements up to this one are waited for. */
  readonly sequence: number;
  /** Channels that have to be live, up to a position; undefined while announcements are pending. */
  channels: [Channel, position: number][] | undefined;
  isAsked: boolean;
  ask(transport: Transport): Promise<void>;
  reject(error: unknown): void;
}

/** What questions wait for. */
export interface Earlier {
  /** The sequence number of the oldest pending announcement. */
  oldest(): number;
  /** Channels with subscriptions. */
  channels(): Iterable<Channel>;
}

export class Questions {
  readonly #world: World;
  readonly #earlier: Earlier;
  readonly #pending = new Set<Question>();
  #transport: Transport | undefined;

  constructor(world: World, earlier: Earlier) {
    this.#world = world;
    this.#earlier = earlier;
  }

  get size(): number {
    return this.#pending.size;
  }

  /**
   * Asks for something.
   * @param sequence of the newest announcement
   * @throws Refused if the server refuses or time is over, Error if an option is wrong
   */
  ask<T>(sequence: number, options: RequestOptions, act: (transport: Transport) => Promise<T>): Promise<T> {
    checkOptions(options);
    if (options.signal?.aborted) return Promise.reject(options.signal.reason);
    return new Promise<T>((resolve, reject) => {
      const settle = (settled: () => void) => {
        if (!this.#pending.delete(question)) return;
        cancel();
        settled();
      };
      const question: Question = {
        sequence,
        channels: undefined,
        isAsked: false,
        ask: async (transport) => {
          const answer = await act(transport);
          settle(() => resolve(answer));
        },
        reject: (error) => settle(() => reject(error)),
      };
      const late = () => new Refused("unavailable", `the server didn't answer within ${options.timeout} ms`);
      const cancel = limitTime(this.#world, options, late, question.reject);
      this.#pending.add(question);
      this.look();
    });
  }

  /** There is another connection, or none. */
  use(transport: Transport | undefined): void {
    this.#transport = transport;
    for (const question of this.#pending) question.isAsked = false;
    this.look();
  }

  /** Asks whatever may be asked by now. */
  look(): void {
    for (const question of this.#pending) this.#lookAt(question);
  }

  #lookAt(question: Question): void {
    if (question.isAsked || !this.#transport) return;
    if (!question.channels) {
      if (this.#earlier.oldest() <= question.sequence) return;
      question.channels = [...this.#earlier.channels()].map((channel) => [channel, channel.due]);
    }
    question.channels = question.channels.filter(([channel, position]) => !channel.hasReached(position));
    if (question.channels.length > 0) return;
    question.isAsked = true;
    question.ask(this.#transport).catch((error: unknown) => {
      // When a connection has ended, the next one is asked.
      if (error instanceof Refused) question.reject(error);
    });
  }

  fail(error: Error): void {
    for (const question of [...this.#pending]) question.reject(error);
  }
}
