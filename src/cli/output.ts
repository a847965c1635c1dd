/** Standard output, which may be a pipe that somebody closes: then there is nothing more to do. */
import { DONE } from "./exits.ts";

/** Ends the program, as it has been told to stop, when nobody reads any more. */
export function endWithPipe(): void {
  process.stdout.on("error", ({ code }: NodeJS.ErrnoException) => {
    if (code === "EPIPE") process.exit(DONE);
  });
}

/** Ends when a line has gone out. */
export function print(line: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(`${line}\n`, (error) => (error ? reject(error) : resolve()));
  });
}

export function remark(line: string): void {
  process.stderr.write(`fanout: ${line}\n`);
}
