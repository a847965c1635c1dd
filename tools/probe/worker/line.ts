/** Calls nested in one another: an object asks the next, which asks the next, each by a stub of its own. */
import { type Facts, numberIn, readFacts, textIn } from "../facts.ts";
import { textOf } from "./errors.ts";
import type { Self } from "./self.ts";

/**
 * Makes nested calls through a line of objects, which exist for nothing else. Answers with `hops`, how
 * many there were, and `failure` if there could be no more.
 *
 * With `end`, the last one calls the object of that name for the experiment `errand`, with what `brings`
 * has as JSON: so that object has an event `hops` + 1 deeper than this one, and gives the answer. If
 * that object is not reached, the answer has `unreached`.
 * @param ask `hops`: how many to make
 */
export async function line(self: Self, ask: Facts): Promise<Facts> {
  const hops = numberIn(ask, "hops");
  const at = numberIn(ask, "at", 0);
  const first = textIn(ask, "first", self.name);
  const end = textIn(ask, "end", "");
  try {
    if (at < hops) return await self.peer(`${first}/${at + 1}`).ask("line", { ...ask, first, at: at + 1 });
    if (end === "") return { hops };
    return await self.peer(end).ask(textIn(ask, "errand"), readFacts(textIn(ask, "brings", "{}")));
  } catch (error) {
    const failed = { hops: at, failure: textOf(error) };
    return end === "" ? failed : { ...failed, unreached: true };
  }
}
