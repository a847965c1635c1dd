/** Standard output and standard error. */
import { DONE, Exit, LOCAL } from "./exits.ts";
import { visible } from "./visible.ts";

let endsWithPipe = true;

/** Lets the program continue after the reader has closed standard output; `print` rejects then. */
export function surviveClosedPipe(): void {
  endsWithPipe = false;
}

/** Ends the program with 0 when the reader closes standard output. */
export function endWithPipe(): void {
  process.stdout.on("error", ({ code }: NodeJS.ErrnoException) => {
    if (code === "EPIPE" && endsWithPipe) process.exit(DONE);
  });
  // Without standard error, errors can't be reported.
  process.stderr.on("error", () => {});
}

/**
 * Prints a line; resolves when it is written. At a terminal, control characters are escaped.
 * @throws Exit if it can't be written, for example to a full disk
 */
export function print(line: string): Promise<void> {
  return printAsIs(process.stdout.isTTY ? line.split("\n").map(visible).join("\n") : line);
}

/** Prints a line with its control characters, even at a terminal. @throws Exit if it can't be written */
export function printAsIs(line: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(`${line}\n`, (error) => {
      if (error) reject(new Exit(LOCAL, `standard output can't be written: ${error.message}`));
      else resolve();
    });
  });
}

/** Prints a line on standard error, with control characters escaped. */
export function remark(line: string): void {
  process.stderr.write(`fanout: ${visible(line)}\n`);
}
