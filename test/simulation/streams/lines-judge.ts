/** Checks that a stream of lines is what the object sent, from its beginning, without a hole. */
import { hold } from "./breach.ts";
import type { ObjectSide } from "./object-side.ts";
import type { Judge } from "./reader.ts";

export class LinesJudge implements Judge {
  readonly #object: ObjectSide;
  #read = "";

  constructor(object: ObjectSide) {
    this.#object = object;
  }

  /** How much of what the object sent has been read. */
  get length(): number {
    return this.#read.length;
  }

  read(text: string): void {
    hold(text.endsWith("\n"), () => `a piece ends within a line: ${JSON.stringify(text.slice(-40))}`);
    this.#read += text;
    if (this.#object.sent.startsWith(this.#read)) return;
    // The last line may say why the stream ends.
    const lines = this.#read.split("\n");
    const before = lines.slice(0, -2).map((line) => `${line}\n`);
    const last = lines.at(-2) ?? "";
    const isError = /^debug!error [a-z-]+ connect: ./.test(last);
    hold(isError && this.#object.sent.startsWith(before.join("")), () => `read what wasn't sent: ${text}`);
  }

  ended(): void {
    const { arrived } = this.#object;
    hold(this.#read.startsWith(arrived), () => `what arrived last wasn't read: ${arrived.slice(-80)}`);
  }
}
