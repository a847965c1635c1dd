/** Formats the answers. */
import type { Answer } from "./probe.ts";

const WIDTHS = [36, 32, 52];
const GAP = "  ";

export const HEADER = cells(["", "assumed", "observed"]);

/** Formats a question and its rows, in lines of at most 124 characters unless words are longer. */
export function block({ number, title, rows }: Answer): string {
  const lines = rows.map(({ question, assumed, seen }) => cells([question, assumed, seen]));
  return [`\n${number}. ${title}`, ...lines].join("\n");
}

/** Formats texts in columns, wrapped to as many lines as needed. */
function cells(texts: string[]): string {
  const columns = texts.map((text, index) => wrapped(text, WIDTHS[index] ?? 0));
  const height = Math.max(...columns.map((column) => column.length));
  const lines = Array.from({ length: height }, (_, row) =>
    columns.map((column, index) => (column[row] ?? "").padEnd(WIDTHS[index] ?? 0)).join(GAP),
  );
  return lines.map((line) => line.trimEnd()).join("\n");
}

function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line += line === "" ? word : ` ${word}`;
  }
  return [...lines, line];
}
