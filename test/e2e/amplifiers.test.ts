/**
 * Frames that make an object do much: whatever one client sends, the object's memory has a bound, others lose nothing,
 * and each of them is answered. How long all of it takes depends on the machine; it is printed.
 */
import { expect, test } from "vitest";
import { AMPLIFIERS, amplify } from "../../tools/bench/amplifiers.ts";
import { serveInTest } from "./support/serve.ts";

const SUBSCRIBERS = Number(process.env.SUBSCRIBERS ?? 200);
/** Most of the runtime's memory that one frame may take, in KiB, with what its answers take to send. */
const BOUND = 150_000;

test.each(AMPLIFIERS)(
  "$title: one frame to an object with subscribers",
  { timeout: 600_000 },
  async (amplifier) => {
    const runtime = await serveInTest({ v8Flags: ["--max-old-space-size=128"] });
    const outcome = await amplify(runtime, amplifier.frame, SUBSCRIBERS);
    console.log(JSON.stringify(outcome));
    expect(outcome).toMatchObject({ ending: "", lost: 0 });
    expect(outcome.memory).toBeLessThan(BOUND);
  },
);
