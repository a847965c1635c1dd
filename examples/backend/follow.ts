/**
 * Prints each message of `orders`, and resumes where it stopped: after a lost connection, a crash or a reboot.
 * `FANOUT_URL=http://localhost:8787 npx node examples/backend/follow.ts orders.position`; the file stores the position of
 * the last processed message.
 */
import { readFile, rename, writeFile } from "node:fs/promises";
// In a project of your own this is "fanout-edge/client".
import { Fanout } from "../../src/client/fanout.ts";

const { FANOUT_URL = "http://localhost:8787", FANOUT_TOKEN } = process.env;
const [, , path] = process.argv;
if (path === undefined) throw new Error("usage: follow.ts <file>");

/** The position of the last processed message; undefined in the first run. */
let position = Number(await readFile(path, "utf8").catch(() => "")) || undefined;

/** Replaces the file in one step, so that a crash leaves the old position or the new one. */
async function store(path: string, position: number): Promise<void> {
  await writeFile(`${path}.new`, String(position), { flush: true });
  await rename(`${path}.new`, path);
}

const fanout = new Fanout(FANOUT_URL, {
  token: FANOUT_TOKEN,
  onState: ({ state, reason = "the connection is lost" }) => {
    if (state === "disconnected" || state === "failed") console.error(`${state}: ${reason}`);
  },
});
const orders = fanout.subscribe("orders", {
  since: position,
  onPosition: (first) => {
    position ??= first;
  },
  onGap: ({ from, to }) => console.error(`the messages after ${from}, up to ${to}, are missing`),
});
// A first run that ends before the first message resumes where it began.
await fanout.ping();
if (position !== undefined) await store(path, position);
for await (const { text, position } of orders) {
  console.log(text); // Process the message here.
  // Store the position last: after a crash in between, the message is processed again rather than lost.
  if (position !== undefined) await store(path, position);
}
