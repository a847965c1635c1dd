/** How long it takes to wait for storage. */
import { numberIn } from "../facts.ts";
import type { Platform } from "../platform.ts";
import type { Question } from "../question.ts";

const IDLE = 5_000;
const COMMITS = 100;

export const storage: Question = {
  title: "Duration of storage.sync()",
  when: "in turn",
  async ask(platform) {
    return [
      {
        question: "with nothing to write",
        assumed: "next to nothing",
        seen: await measured(platform, IDLE, false),
      },
      { question: "after a put", assumed: "10 ms", seen: await measured(platform, COMMITS, true) },
    ];
  },
};

/** Measures many in a row, by the object's clock, which stands still while code runs, and by ours. */
async function measured(platform: Platform, times: number, put: boolean): Promise<string> {
  const object = platform.newObject();
  // The first call brings the object into memory; the second measures the round trip alone.
  await platform.ask(object, "syncs", { times: 1, put });
  const without = await timed(() => platform.ask(object, "syncs", { times: 0, put }));
  const all = await timed(() => platform.ask(object, "syncs", { times, put }));
  const inside = numberIn(all.answer, "elapsed") / times;
  const outside = Math.max(0, all.took - without.took) / times;
  return `${inside.toFixed(3)} ms by its own clock, ${outside.toFixed(3)} ms by ours`;
}

async function timed<T>(act: () => Promise<T>): Promise<{ took: number; answer: T }> {
  const began = performance.now();
  const answer = await act();
  return { took: performance.now() - began, answer };
}
