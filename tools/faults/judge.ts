/** Judges a list of messages that should be 1, 2, 3, … */

export interface Verdict {
  /** Number of messages received, and expected. */
  came: number;
  due: number;
  lost: number[];
  repeated: number[];
  /** Messages that came before one with a smaller number. */
  early: number[];
  /** Lines that are not numbers. */
  strange: string[];
}

export function judge(lines: string[], due: number): Verdict {
  const strange = lines.filter((line) => !/^\d+$/.test(line));
  const numbers = lines.filter((line) => /^\d+$/.test(line)).map(Number);
  const seen = new Set<number>();
  const repeated: number[] = [];
  for (const n of numbers) {
    if (seen.has(n)) repeated.push(n);
    seen.add(n);
  }
  const all = Array.from({ length: due }, (_, i) => i + 1);
  const early = numbers.filter((n, i) => n > (numbers[i + 1] ?? n));
  return { came: numbers.length, due, lost: all.filter((n) => !seen.has(n)), repeated, early, strange };
}

/** Whether there were messages, and every one came exactly once and in order. */
export function isFlawless({ due, lost, repeated, early, strange }: Verdict): boolean {
  return due > 0 && [lost, repeated, early, strange].every((wrong) => wrong.length === 0);
}

/** Formats a verdict as one line. */
export function inWords(what: string, verdict: Verdict): string {
  const { came, due, lost, repeated, early, strange } = verdict;
  const wrongs = Object.entries({ lost, repeated, "out of order": early, strange });
  const parts = wrongs.map(
    ([name, which]) => `${which.length} ${name}${which.length > 0 ? ` (${which.slice(0, 5)}…)` : ""}`,
  );
  return `${what}: ${came} of ${due} received; ${parts.join(", ")}`;
}
