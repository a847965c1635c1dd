/** Whether a server answers lines as it should, how soon, and what time it has. */

import type { Wire } from "../raw-socket.ts";
import { type Check, expectLines, note, ok } from "./findings.ts";
import { newChannel, type Patient } from "./target.ts";

const REMEDY = "is it Fanout that answers, in this version? deploy it anew (npm run deploy)";

/** How often something is measured. */
const TIMES = 10;

/** How far clocks may be apart, in seconds. */
const APART = 5;

/** Does something on a connection of its own to a new channel. */
export async function onWire<T>(
  patient: Patient,
  act: (wire: Wire, channel: string) => Promise<T>,
): Promise<T> {
  const channel = newChannel();
  const wire = await patient.wire(channel);
  try {
    return await act(wire, channel);
  } finally {
    wire.close();
  }
}

/** The answer to `ping`. @throws Error if that is none */
async function timeBy(wire: Wire): Promise<number> {
  wire.say("ping");
  const line = await wire.line();
  if (/^\d{10,11}$/.test(line)) return Number(line);
  throw new Error(`ping is answered with '${line}' instead of Unix seconds`);
}

export const ping: Check = {
  name: "ping",
  needs: "sockets",
  remedy: REMEDY,
  look: (patient) => onWire(patient, async (wire) => ok(`the time is ${await timeBy(wire)}`)),
};

export const announce: Check = {
  name: "announce",
  needs: "sockets",
  remedy: REMEDY,
  look: (patient) =>
    onWire(patient, async (wire) => {
      const channel = newChannel();
      wire.say(`subscribe ${channel}`, `announce ${channel} hello`);
      expectLines([await wire.line()], [`${channel}!hello`]);
      return ok("who subscribes gets what is announced");
    }),
};

export const barrier: Check = {
  name: "barrier",
  needs: "sockets",
  remedy: REMEDY,
  look: (patient) =>
    onWire(patient, async (wire, channel) => {
      const answers = await wire.answersTo(`subscribe ${channel}`, `announce ${channel} hello`);
      expectLines(answers, [`${channel}!hello`]);
      return ok("ping is answered when all before it has come");
    }),
};

export const mistake: Check = {
  name: "mistake",
  needs: "sockets",
  remedy: REMEDY,
  look: (patient) =>
    onWire(patient, async (wire) => {
      const answers = await wire.answersTo("nonsense");
      if (answers.length !== 1 || !answers[0]?.startsWith("debug!error "))
        expectLines(answers, ["debug!error …"]);
      return ok("a bad command gets one debug!error");
    }),
};

export const latency: Check = {
  name: "latency",
  needs: "sockets",
  remedy: "connect from nearer, or see in its log (npx wrangler tail) what fails there",
  look: (patient) =>
    onWire(patient, async (wire, channel) => {
      const there = await median(() => timeBy(wire));
      const through = await median(async () => {
        wire.say(`announce ${channel} hello`);
        expectLines([await wire.line()], [`${channel}!hello`]);
      });
      return ok(
        `${there.toFixed(1)} ms there and back, ${through.toFixed(1)} ms for a message (medians of ${TIMES})`,
      );
    }),
};

/** How long something takes, in milliseconds. */
async function median(work: () => Promise<unknown>): Promise<number> {
  const all: number[] = [];
  while (all.length < TIMES) {
    const began = performance.now();
    await work();
    all.push(performance.now() - began);
  }
  return all.sort((a, b) => a - b)[TIMES / 2] ?? 0;
}

export const clock: Check = {
  name: "clock",
  needs: "sockets",
  remedy: REMEDY,
  look: (patient) =>
    onWire(patient, async (wire) => {
      const before = Date.now() / 1_000;
      const time = await timeBy(wire);
      const after = Date.now() / 1_000;
      // Whole seconds: the time is any up to the next.
      const ahead = Math.max(0, time - after) - Math.max(0, before - (time + 1));
      const told = `${Math.abs(ahead).toFixed(0)} s ${ahead < 0 ? "behind" : "ahead of"} this machine's`;
      if (Math.abs(ahead) > APART)
        return note(`it is ${told}: one of them is wrong, and tokens end at the wrong time`);
      return ok(Math.abs(ahead) < 1 ? "it is this machine's" : `it is ${told}`);
    }),
};
