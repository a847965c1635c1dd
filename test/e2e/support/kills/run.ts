/** What programs, consumers and clients that are killed have in common. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";

/** Longest life of a program or its consumer, in milliseconds. */
export const LIFE = 3_000;

/** A line of a consumer's record: the run of the consumer, and the message. */
export interface Entry {
  run: number;
  position: number;
  number: number;
}

/** Kills in progress, and their judgement when they are over and all is silent. */
export interface Killing {
  /** Resolves after the last kill, when everything runs again. */
  over: Promise<void>;
  /** Ends everything, compares the records with the promises, and returns figures to print. */
  judge(): Promise<object>;
}

/** The channel `news` on a server, with messages that begin with their numbers, from 1. */
export class Run {
  readonly url: string;
  readonly folder: string;
  /** The position before the first message. */
  readonly start: number;
  /** How many messages have been sent, and how many are announced for certain. */
  sent = 0;
  announced = 0;
  /** Whether the last kill is over. */
  isOver = false;
  /** Broken promises; must stay empty. */
  readonly faults: string[] = [];
  readonly #records: string[] = [];

  constructor(url: string, folder: string, start: number) {
    this.url = url;
    this.folder = folder;
    this.start = start;
  }

  file(name: string): string {
    return join(this.folder, name);
  }

  /** Creates a cursor before the first message, and a record; returns the program's words. */
  subscribe(cursor: string, record: string, ...words: string[]): string[] {
    writeFileSync(cursor, `{"news":${this.start}}\n`);
    writeFileSync(record, "");
    this.#records.push(record);
    return ["sub", this.url, "news", "--json", "--cursor", cursor, "--timeout", "100", ...words];
  }

  /** Reads a record. @throws Error if a line isn't complete */
  entriesIn(record: string): Entry[] {
    const lines = readFileSync(record, "utf8").split("\n").slice(0, -1);
    return lines.map((line) => {
      const space = line.indexOf(" ");
      const { position, text } = JSON.parse(line.slice(space));
      const number = Number(String(text).split(" ")[0]);
      if (number !== position - this.start) this.faults.push(`the message ${number} is recorded at ${position}`);
      return { run: Number(line.slice(0, space)), position, number };
    });
  }

  /** Resolves when each record has the newest message, or lacks no more than a number of them. */
  async recorded(lag = 0): Promise<void> {
    const newest = () => Math.min(...this.#records.map((record) => this.entriesIn(record).at(-1)?.number ?? 0));
    await expect.poll(newest, { timeout: 200_000, interval: 200 }).toBeGreaterThanOrEqual(this.announced - lag);
  }
}

export function positionIn(cursor: string): number {
  return JSON.parse(readFileSync(cursor, "utf8")).news;
}
