/** That the documents say what the guarantees quote, and guarantee nothing that has no identifier. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { GUARANTEES } from "../guarantees.ts";

/** Sections in which every paragraph, list item and table row guarantees something. */
const COMPLETE: Record<string, readonly string[]> = {
  "docs/guarantees.md": [
    "Order",
    "Delivery",
    "Resume",
    "Retention",
    "Idempotency keys",
    "True presence",
    "Failures",
  ].concat(["Slow clients and backpressure", "Limits", "Idle costs nothing", "Statistics"]),
  "docs/protocol.md": ["Errors", "Close codes", "What requests cost", "Status codes"],
  "docs/presence.md": ["Limits"],
};

/** Blocks of these sections that explain or introduce, by how they begin. */
const EXPLANATIONS = [
  "Channels are independent",
  "A channel's [members]",
  "Otherwise",
  "An error names",
  "The argument is",
  "Treat an unknown code",
  "Close reasons begin",
  "The server also closes",
  "`LINES_PER_SECOND` also limits",
  "The body of an error",
  "Presence needs retention",
  "Settings are in",
  "For larger audiences",
];

function read(page: string): string {
  return readFileSync(join(import.meta.dirname, "../..", page), "utf8");
}

/** Puts each paragraph, list item and table row on one line. */
function unwrapped(text: string): string {
  return text.replace(/(?<=[^\n])\n {0,2}(?=[^\s|#>-])/g, " ");
}

/** Returns the paragraphs, list items and rows of a section, without its code, headings of tables and subsections. */
function blocksOf(page: string, section: string): string[] {
  const [, text = ""] = read(page).split(new RegExp(`\n###? ${section}\n`));
  const own = text.split(/\n###? /)[0] ?? "";
  const lines = unwrapped(own.replace(/```.*?```/gs, ""))
    .replaceAll("\n- ", "\n")
    .split("\n");
  return lines.filter((line, i) => line !== "" && !line.startsWith("| ---") && !lines[i + 1]?.startsWith("| ---"));
}

describe.each(Object.entries(GUARANTEES))("%s", (page, quotations) => {
  test.each(Object.entries(quotations))("guarantees %s", (_, quotation) => {
    expect(unwrapped(read(page)).split(quotation)).toHaveLength(2);
  });
});

describe.each(Object.entries(COMPLETE))("%s", (page, sections) => {
  test.each(sections)("has identifiers for everything in the section %s", (section) => {
    const quotations = Object.values(GUARANTEES).flatMap((quoted) => Object.values(quoted));
    const isKnown = (block: string) =>
      quotations.some((quotation) => block.includes(quotation)) ||
      EXPLANATIONS.some((start) => block.startsWith(start));
    const blocks = blocksOf(page, section);
    expect(blocks).not.toEqual([]);
    expect(blocks.filter((block) => !isKnown(block))).toEqual([]);
  });
});
