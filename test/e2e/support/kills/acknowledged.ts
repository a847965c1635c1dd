/** A consumer that acknowledges: it or the program is killed, and both start again. */
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import { Dice } from "../dice.ts";
import { SEED } from "../seed.ts";
import { closePipe, openPipe, startConsumer, startProgram } from "./pipelines.ts";
import { type Killing, LIFE, positionIn, type Run } from "./run.ts";

/** What is known when the program and its consumer start. */
interface Start {
  /** The cursor's position. */
  cursor: number;
  /** Whether the consumer was killed before, and the program then read all its acknowledgements. */
  isAllRead: boolean;
}

export function acknowledged(run: Run): Killing {
  const dice = new Dice(SEED + 2);
  const [cursor, record] = [run.file("acknowledged"), run.file("acknowledged.record")];
  const words = run.subscribe(cursor, record, "--ack", "3");
  const kills = { program: 0, consumer: 0 };
  const starts: Start[] = [];
  const begin = (isAllRead: boolean) => {
    starts.push({ cursor: positionIn(cursor), isAllRead });
    const [lines, acks] = [openPipe(run.folder), openPipe(run.folder)];
    const program = startProgram(words, lines.write, acks.read);
    const consumer = startConsumer([record, String(starts.length - 1), String(SEED)], lines.read, acks.write);
    closePipe(lines);
    closePipe(acks);
    return { program, consumer };
  };
  let { program, consumer } = begin(false);
  const killProgram = async () => {
    kills.program += 1;
    program.child.kill("SIGKILL");
    expect(await program.ended, program.err()).toEqual([null, "SIGKILL"]);
    expect(await consumer.ended, consumer.err()).toEqual([0, null]);
  };
  const killConsumer = async () => {
    kills.consumer += 1;
    consumer.child.kill("SIGKILL");
    await consumer.ended;
    // The program ends at the latest with the next message.
    expect(await program.ended, program.err()).toEqual([7, null]);
  };
  const kill = async () => {
    while (!run.isOver) {
      await sleep(dice.below(LIFE));
      const isConsumer = dice.below(2) < 1;
      await (isConsumer ? killConsumer() : killProgram());
      ({ program, consumer } = begin(isConsumer));
    }
  };
  const judge = async () => {
    await expect.poll(() => positionIn(cursor)).toBe(run.start + run.announced);
    program.child.kill("SIGTERM");
    expect(await program.ended, program.err()).toEqual([0, null]);
    expect(await consumer.ended, consumer.err()).toEqual([0, null]);
    return { kills, repeats: repeatsIn(run, record, starts) };
  };
  return { over: kill(), judge };
}

/** Counts repeated lines: each run begins behind the cursor, which isn't ahead of the record, and skips nothing. */
function repeatsIn(run: Run, record: string, starts: Start[]): number {
  const entries = run.entriesIn(record);
  let [newest, repeats] = [run.start, 0];
  /** The last position in the record of the run before. */
  let last = run.start;
  for (const [index, { cursor, isAllRead }] of starts.entries()) {
    // The acknowledgements that the program hasn't read are lost; if it has read all, at most the last one is missing.
    const isValid = cursor <= newest && (cursor >= last - 1 || !isAllRead);
    if (!isValid) run.faults.push(`acknowledged: the cursor was at ${cursor}, after ${last} and ${newest}`);
    const positions = entries.filter((entry) => entry.run === index).map(({ position }) => position);
    last = cursor;
    for (const position of positions) {
      if (position !== last + 1) run.faults.push(`acknowledged: ${position} after ${last} in run ${index}`);
      if (position <= newest) repeats += 1;
      last = position;
    }
    newest = Math.max(newest, last);
  }
  return repeats;
}
