/** Checks that a stream of lines is exactly what the object sent. */

import { check } from "../violation.ts";
import type { ObjectSide } from "./object-side.ts";
import type { Judge } from "./reader.ts";

export class LinesJudge implements Judge {
  readonly #object: ObjectSide;
  #read = "";

  constructor(object: ObjectSide) {
    this.#object = object;
  }

  /** Number of characters read. */
  get length(): number {
    return this.#read.length;
  }

  read(text: string): void {
    check(text.endsWith("\n"), () => `a piece ends within a line: ${JSON.stringify(text.slice(-40))}`);
    this.#read += text;
    if (this.#object.sent.startsWith(this.#read)) return;
    // The last line may be the reason for the end.
    const lines = this.#read.split("\n");
    const before = lines.slice(0, -2).map((line) => `${line}\n`);
    const last = lines.at(-2) ?? "";
    const isError = /^debug!error [a-z-]+ connect: ./.test(last);
    check(isError && this.#object.sent.startsWith(before.join("")), () => `read what wasn't sent: ${text}`);
  }

  ended(): void {
    const { arrived } = this.#object;
    check(this.#read.startsWith(arrived), () => `what arrived last wasn't read: ${arrived.slice(-80)}`);
  }
}
