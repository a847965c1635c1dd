/**
 * An object's memory, whatever its connections do, with as much of it as the platform gives: here that is told to
 * V8 itself, which ends the runtime if it is not enough. `CROWD=10000` has more come than the suite has time for.
 */
import { expect, onTestFinished, test } from "vitest";
import { connectAll } from "./listener.ts";
import { bundle, removeFolder, startRuntime, temporaryFolder } from "./runtime.ts";

const CROWD = Number(process.env.CROWD ?? 2_000);
/** Subscriptions of each: as many as one may have, `all` and the channel that it is at included. */
const EACH = 254;

test(`${CROWD} connections subscribe to ${EACH} channels each, as far as there is memory`, {
  timeout: 600_000,
}, async () => {
  const folder = await temporaryFolder();
  onTestFinished(() => removeFolder(folder));
  const options = { v8Flags: ["--max-old-space-size=128"] };
  const runtime = await startRuntime(await bundle(folder), folder, options);
  onTestFinished(runtime.kill);
  const crowd = await connectAll(
    runtime.url,
    Array.from({ length: CROWD }, () => "/crowd"),
  );
  const names = Array.from({ length: EACH }, (_, i) => `channel-${i}-`.padEnd(50, "x"));
  const wanted = names.map((name) => `subscribe ${name}`).join("\n");
  let refused = 0;
  for (const client of crowd) {
    client.say(wanted);
    for (const line of await client.ping()) {
      expect(line).toMatch(/^debug!error cannot subscribe: too many subscriptions are held here/);
      refused += 1;
    }
  }
  // Some of them: what the others have takes all the memory that there is for it.
  expect(refused).toBeGreaterThan(0);
  expect(refused).toBeLessThan(CROWD * EACH);
  crowd[0]?.say(`announce ${names[0]} heard by those who are subscribed\nannounce crowd heard by all`);
  await Promise.all(
    crowd.map(async (client) => {
      for (let line = ""; line !== "crowd!heard by all"; line = await client.line());
    }),
  );
  // Who comes now is at home in another object.
  const [late] = await connectAll(runtime.url, ["/crowd"]);
  late?.say(wanted);
  expect(await late?.ping()).toEqual([]);
  for (const client of crowd) client.close();
});
