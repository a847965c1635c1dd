/** Chains of nested calls: each object calls the next through a stub of its own. */
import { type Facts, numberIn, readFacts, textIn } from "../facts.ts";
import { textOf } from "./errors.ts";
import type { Host } from "./host.ts";

/**
 * Makes nested calls through a chain of new objects. Returns `hops`, the number of calls, and `failure` if no more were
 * possible.
 *
 * With `end`, the last object calls the object of that name for the experiment `errand`, with the arguments in `brings`
 * as JSON. That object's event is `hops` + 1 deeper than this one, and its answer is returned; or `unreached` if the
 * chain fails before.
 * @param ask `hops`: the number of calls to make
 */
export async function chain(host: Host, ask: Facts): Promise<Facts> {
  const hops = numberIn(ask, "hops");
  const at = numberIn(ask, "at", 0);
  const first = textIn(ask, "first", host.name);
  const end = textIn(ask, "end", "");
  try {
    if (at < hops) return await host.peer(`${first}/${at + 1}`).ask("chain", { ...ask, first, at: at + 1 });
    if (end === "") return { hops };
    return await host.peer(end).ask(textIn(ask, "errand"), readFacts(textIn(ask, "brings", "{}")));
  } catch (error) {
    const failed = { hops: at, failure: textOf(error) };
    return end === "" ? failed : { ...failed, unreached: true };
  }
}
