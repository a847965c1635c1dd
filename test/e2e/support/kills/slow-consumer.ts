/**
 * A slow consumer of `fanout sub --json`: appends each line to a record, has it on the disk, and then writes the
 * message's position to standard output. Arguments: the record, a word that begins each of its lines, and a seed.
 */
import { fsyncSync, openSync, writeSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { Dice } from "../dice.ts";

const [, , record = "", word = "", seed = "0"] = process.argv;
const dice = new Dice(Number(seed));
const file = openSync(record, "a");
// Without a reader of the positions, it still records what is left in its pipe.
process.stdout.on("error", () => {});
for await (const line of createInterface({ input: process.stdin })) {
  await sleep(dice.below(1) < 0.01 ? 500 : dice.below(15));
  writeSync(file, `${word} ${line}\n`);
  fsyncSync(file);
  process.stdout.write(`${JSON.parse(line).position}\n`);
}
