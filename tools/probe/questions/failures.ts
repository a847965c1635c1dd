/** The errors of failing calls, other than those for their depth. */
import { type Facts, numberIn, textIn } from "../facts.ts";
import type { Platform } from "../platform.ts";
import { failed, NOT_ASKED, type Question, type Row } from "../question.ts";

/** Calls made at once to a busy object, and how long it is busy: see `block`. */
const CALLERS = 10;
const CALLS = 900;
const ROUNDS = 3;

const ELSEWHERE = `${NOT_ASKED}: needs a deployment`;

export const failures: Question = {
  title: "Errors of failing calls",
  when: "last",
  async ask(platform) {
    const thrown = await provoke(platform, "fail");
    const retryable = await provoke(platform, "fail retryable");
    return [
      row("code that throws", "TypeError, remote", thrown, "first"),
      row("… an error that claims to be retryable", "Error, remote, retryable", retryable, "first"),
      ...reset("ctx.abort()", "Error, durableObjectReset", await provoke(platform, "abort")),
      await overload(platform),
      ...(await exhaustion(platform)),
    ];
  },
};

/** Makes an object fail; returns what its caller observed, or our own error if the caller fails too. */
function provoke(platform: Platform, does: string): Promise<Facts> {
  const ask = { peer: platform.newObject(), does };
  return platform.ask(platform.newObject(), "provoke", ask).catch((error: unknown) => ({
    first: failed(error),
    same: "the caller failed too",
    fresh: "the caller failed too",
  }));
}

function row(question: string, assumed: string, facts: Facts, name: string): Row {
  return { question, assumed, seen: textIn(facts, name) };
}

/** Rows for the call that resets its object, and for two calls after that. */
function reset(question: string, assumed: string, facts: Facts): Row[] {
  return [
    row(question, assumed, facts, "first"),
    row("… then a call through the same stub", "an error", facts, "same"),
    row("… then one through a new stub", "answered", facts, "fresh"),
  ];
}

async function overload(platform: Platform): Promise<Row> {
  const question = `${CALLERS * CALLS} calls at once to a busy object`;
  const seen = platform.isDeployed ? await overloaded(platform).catch(failed) : ELSEWHERE;
  return { question, assumed: "Error, overloaded", seen };
}

async function overloaded(platform: Platform): Promise<string> {
  const peer = platform.newObject();
  const busy = platform.ask(peer, "block", { rounds: ROUNDS });
  const callers = Array.from({ length: CALLERS }, () =>
    platform.ask(platform.newObject(), "queue", { peer, calls: CALLS }),
  );
  const [, ...outcomes] = await Promise.all([busy, ...callers]);
  const answered = outcomes.reduce((sum, outcome) => sum + numberIn(outcome, "answered"), 0);
  const kinds = new Set(outcomes.flatMap(({ failure }) => (failure === undefined ? [] : [String(failure)])));
  return kinds.size === 0 ? "not seen: all were answered" : `${answered} were answered; ${[...kinds].join(" | ")}`;
}

async function exhaustion(platform: Platform): Promise<Row[]> {
  const question = "an object that takes too much memory";
  const assumed = "Error, overloaded, durableObjectReset";
  if (!platform.isDeployed) return [{ question, assumed, seen: ELSEWHERE }];
  return reset(question, assumed, await provoke(platform, "exhaust"));
}
