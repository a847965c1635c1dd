/**
 * Builds one version of a file that contains all of its mutants, each of which `$mutant(id)` switches on. Loops call it
 * too, so that endless ones can be ended.
 */
import { type Mutation, mutationsOf, type Span } from "./mutations.ts";

/** Text to insert around a part of the code. */
interface Wrap extends Span {
  before: string;
  after: string;
}

function wrapOf({ id, start, end, replacement }: Mutation & { id: number }): Wrap {
  if (replacement === undefined) return { start, end, before: `{if(!$mutant(${id})){`, after: "}}" };
  return { start, end, before: `($mutant(${id})?(${replacement}):(`, after: "))" };
}

const wrapOfLoop = ({ start, end }: Span): Wrap => ({ start, end, before: "{$mutant(-2);", after: "}" });

/** Returns a file's code with mutants. */
export function instrument(path: string, code: string, mutants: readonly (Mutation & { id: number })[]): string {
  const wraps = [...mutationsOf(path, code).loops.map(wrapOfLoop), ...mutants.map(wrapOf)];
  // Outer ones first.
  wraps.sort((a, b) => a.start - b.start || b.end - a.end);
  const pieces: string[] = [];
  let at = 0;
  const copyTo = (end: number) => {
    pieces.push(code.slice(at, end));
    at = end;
  };
  const open: Wrap[] = [];
  const closeBefore = (position: number) => {
    for (let last = open.at(-1); last && last.end <= position; last = open.at(-1)) {
      copyTo(last.end);
      pieces.push(last.after);
      open.pop();
    }
  };
  for (const wrap of wraps) {
    closeBefore(wrap.start);
    copyTo(wrap.start);
    pieces.push(wrap.before);
    open.push(wrap);
  }
  closeBefore(code.length);
  copyTo(code.length);
  return pieces.join("");
}
