/**
 * Frames that cost an object much work. Whatever one client sends, the object's memory stays bounded, other clients
 * lose nothing, and each frame gets a reply. The time it takes depends on the machine, and is only printed.
 */
import { expect, test } from "vitest";
import { AMPLIFIERS, amplify } from "./support/amplifiers.ts";
import { serveInTest } from "./support/serve.ts";

const SUBSCRIBERS = Number(process.env.SUBSCRIBERS ?? 200);
/** Maximum growth of the runtime's memory for one frame and its replies, in KiB. */
const BOUND = 150_000;

test.each(AMPLIFIERS)("$title: one frame to an object with subscribers", { timeout: 600_000 }, async (amplifier) => {
  const runtime = await serveInTest({ v8Flags: ["--max-old-space-size=128"] });
  const outcome = await amplify(runtime, amplifier.frame, SUBSCRIBERS);
  console.log(JSON.stringify(outcome));
  expect(outcome).toMatchObject({ ending: "", lost: 0 });
  expect(outcome.memory).toBeLessThan(BOUND);
});
