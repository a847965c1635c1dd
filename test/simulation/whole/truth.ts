/** What all clients of a world know of its messages: when they were announced, and their positions. */
import { Violation } from "../violation.ts";

export interface Announced {
  channel: string;
  text: string;
  /** When it was sent, in milliseconds. */
  issued: number;
  /** Its number among the messages of its publisher. */
  number: number;
  publisher: string;
  /** Its positions: one, unless its key had expired when it was announced again. */
  positions: number[];
  /** Whether its first known position may be that of a repetition, because its key may have expired before. */
  mayBeRepeated: boolean;
}

interface Gap {
  who: string;
  channel: string;
  from: number;
  to: number;
  at: number;
}

export class Truth {
  readonly #now: () => number;
  /** How long messages and keys are retained, in milliseconds. */
  readonly #retention: number;
  readonly #byText = new Map<string, Announced>();
  /** Messages by channel and position. */
  readonly #byPosition = new Map<string, string>();
  readonly #gaps: Gap[] = [];

  constructor(now: () => number, retention: number) {
    this.#now = now;
    this.#retention = retention;
  }

  get gaps(): number {
    return this.#gaps.length;
  }

  /** Records that a program announces a message for the first time. */
  issue(channel: string, text: string, publisher: string, number: number): void {
    this.#byText.set(text, {
      channel,
      text,
      publisher,
      number,
      issued: this.#now(),
      positions: [],
      mayBeRepeated: false,
    });
  }

  /** Returns a message. @throws Violation if nobody announced it on this channel */
  message(channel: string, text: string, who: string): Announced {
    const announced = this.#byText.get(text);
    if (announced?.channel === channel) return announced;
    throw new Violation(`${who} gets '${text}', which wasn't announced on ${channel}`);
  }

  /** Records a message's position. @throws Violation if that is another message's, or if it has another one */
  found(channel: string, position: number, text: string, who: string): void {
    const announced = this.message(channel, text, who);
    const place = `${channel} ${position}`;
    const known = this.#byPosition.get(place) ?? text;
    if (known !== text) throw new Violation(`${who} finds '${text}' at ${place}, where '${known}' is`);
    this.#byPosition.set(place, text);
    if (announced.positions.includes(position)) return;
    announced.positions.push(position);
    const mayBeRepeated = this.#now() - announced.issued >= this.#retention;
    if (announced.positions.length === 1) announced.mayBeRepeated = mayBeRepeated;
    if (announced.positions.length === 1 || mayBeRepeated) return;
    throw new Violation(`${who} finds '${text}' at ${place}, but it was at ${announced.positions}`);
  }

  /** Records a gap, to be judged when all positions are known. */
  missed(who: string, channel: string, from: number, to: number): void {
    this.#gaps.push({ who, channel, from, to, at: this.#now() });
  }

  /** Checks that only expired messages were in gaps. */
  checkGaps(): void {
    for (const gap of this.#gaps) this.#checkGap(gap);
  }

  #checkGap({ who, channel, from, to, at }: Gap): void {
    const what = `${who} has a gap on ${channel} from ${from} to ${to}`;
    if (to <= from) throw new Violation(`${what}, though positions only grow`);
    for (const announced of this.#byText.values()) {
      const isMissed = announced.positions.some((position) => position > from && position <= to);
      const age = at - announced.issued;
      if (announced.channel === channel && isMissed && age < this.#retention) {
        throw new Violation(`${what}, but '${announced.text}' was only ${age} ms old`);
      }
    }
  }

  /** The newest known position of a channel. */
  newest(channel: string): number {
    let newest = 0;
    for (const announced of this.#byText.values()) {
      if (announced.channel === channel) newest = Math.max(newest, ...announced.positions);
    }
    return newest;
  }

  /** Checks that the messages of each publisher are in the order in which it announced them. */
  checkOrder(): void {
    const newest = new Map<string, Announced>();
    const messages = [...this.#byText.values()].sort((a, b) => a.number - b.number);
    for (const announced of messages) {
      const { channel, publisher, positions, text } = announced;
      const [position] = positions;
      if (position === undefined || announced.mayBeRepeated) continue;
      const place = `${publisher} ${channel}`;
      const before = newest.get(place);
      if (position < (before?.positions[0] ?? 0)) throw new Violation(`'${text}' comes before '${before?.text}'`);
      newest.set(place, announced);
    }
  }
}
