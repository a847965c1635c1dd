/** A consumer in a pipe, which lives on while the program is killed and started again. */
import { closeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import { Dice } from "../dice.ts";
import { SEED } from "../seed.ts";
import { openPipe, startConsumer, startProgram } from "./pipelines.ts";
import { type Killing, LIFE, positionIn, type Run } from "./run.ts";

export function piped(run: Run): Killing {
  const dice = new Dice(SEED + 1);
  const [cursor, record] = [run.file("piped"), run.file("piped.record")];
  const words = run.subscribe(cursor, record);
  const pipe = openPipe(run.folder);
  const consumer = startConsumer([record, "0", String(SEED)], pipe.read);
  let program = startProgram(words, pipe.write);
  let kills = 0;
  const kill = async () => {
    while (!run.isOver) {
      await sleep(dice.below(LIFE));
      program.child.kill("SIGKILL");
      expect(await program.ended, program.err()).toEqual([null, "SIGKILL"]);
      kills += 1;
      program = startProgram(words, pipe.write);
    }
  };
  const judge = async () => {
    program.child.kill("SIGTERM");
    expect(await program.ended, program.err()).toEqual([0, null]);
    closeSync(pipe.write);
    expect(await consumer.ended, consumer.err()).toEqual([0, null]);
    closeSync(pipe.read);
    expect(positionIn(cursor)).toBe(run.start + run.announced);
    const repeats = repeatsIn(run, record);
    if (repeats > kills) run.faults.push(`piped: ${repeats} repeats after ${kills} kills`);
    return { kills, repeats };
  };
  return { over: kill(), judge };
}

/** Counts repeated lines: a kill between a line and its cursor repeats that line, and no other. */
function repeatsIn(run: Run, record: string): number {
  let [newest, repeats] = [run.start, 0];
  for (const { position } of run.entriesIn(record)) {
    if (position === newest) repeats += 1;
    else if (position !== newest + 1) run.faults.push(`piped: ${position} after ${newest}`);
    newest = position;
  }
  return repeats;
}
