/** Gathers lines into frames, no larger and no faster than the server takes them. */
import type { SendLimits } from "./limits.ts";
import type { Cancel, World } from "./world.ts";

interface Frame {
  text: string;
  lines: number;
}

export class Frames {
  readonly #world: World;
  readonly #limits: SendLimits;
  readonly #send: (frame: string) => void;
  readonly #waiting: Frame[] = [];
  #isScheduled = false;
  #cancel: Cancel | undefined;

  /** @param send sends a frame, or drops it if the connection has ended */
  constructor(world: World, limits: SendLimits, send: (frame: string) => void) {
    this.#world = world;
    this.#limits = limits;
    this.#send = send;
  }

  /** Sends lines in one frame, with other lines of this turn where they fit. */
  write(text: string, lines: number): void {
    const last = this.#waiting.at(-1);
    if (
      last &&
      last.text.length + text.length <= this.#limits.frame &&
      last.lines + lines <= this.#limits.burst
    ) {
      last.text += text;
      last.lines += lines;
    } else this.#waiting.push({ text, lines });
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => this.#flush());
  }

  /** Sends nothing more. */
  drop(): void {
    this.#waiting.length = 0;
    this.#cancel?.();
  }

  #flush(): void {
    this.#isScheduled = false;
    for (let frame = this.#waiting[0]; frame; frame = this.#waiting[0]) {
      const wait = this.#limits.waitFor(frame.lines);
      if (wait > 0) {
        this.#isScheduled = true;
        this.#cancel = this.#world.later(wait, () => this.#flush());
        return;
      }
      this.#waiting.shift();
      this.#send(frame.text);
    }
  }
}
