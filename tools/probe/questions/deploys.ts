/** What a deploy does to sockets. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Listener } from "../../../test/e2e/support/listener.ts";
import { askBy } from "../platform.ts";
import { NOT_ASKED, type Question, type Row, within } from "../question.ts";
import { SILENCE } from "./sleep.ts";

/** An object in use may keep the old code for 300 seconds. */
const LONGEST = 330_000;
/** Between one message on a socket and the next, in milliseconds. */
const PACE = 1_000;
/** For an answer on a socket that may be dead, in seconds. */
const PATIENCE = 20;

/** What the next deploy calls itself. */
const NEXT = "2";

export const deploys: Question = {
  title: "What a deploy does to a socket",
  when: "last",
  async ask(platform, { onStep }) {
    if (platform.deploy === undefined) return rows(`${NOT_ASKED}: it takes --deploy`);
    const asleep = await platform.connect(platform.newObject());
    const awake = await platform.connect(platform.newObject());
    const time: Time = { deployed: undefined };
    const seenAwake = watch(awake, time);
    onStep("an object falls asleep");
    await sleep(SILENCE);
    onStep("deploying again");
    await platform.deploy(NEXT);
    time.deployed = performance.now();
    onStep("looking for what the deploy does to sockets, for some minutes");
    const seen = rows(await watch(asleep, time), await seenAwake);
    for (const listener of [asleep, awake]) listener.close();
    return seen;
  },
};

function rows(asleep: string, awake = asleep): Row[] {
  return [
    { question: "into an object that sleeps", assumed: "unknown", seen: asleep },
    { question: "into an object in use", assumed: "closed within 300 s", seen: awake },
  ];
}

interface Time {
  /** When the second deploy was done. */
  deployed: number | undefined;
}

/** Sends messages on a socket until the new code answers, or it is closed, or that takes too long. */
async function watch(listener: Listener, time: Time): Promise<string> {
  for (;;) {
    const told = await within(PATIENCE, askBy(listener, "life")).catch(String);
    if (typeof told === "string") return `${told}, ${since(time)}`;
    if (told.version === NEXT) return `open, and answered by the new code, ${since(time)}`;
    if (time.deployed !== undefined && performance.now() - time.deployed > LONGEST) {
      return `open, and answered by the old code, ${since(time)}`;
    }
    await sleep(PACE);
  }
}

function since({ deployed }: Time): string {
  if (deployed === undefined) return "before the deploy was done";
  return `${Math.round((performance.now() - deployed) / 1_000)} s after the deploy`;
}
