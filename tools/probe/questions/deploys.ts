/** The effect of a deploy on sockets. */
import { setTimeout as sleep } from "node:timers/promises";
import type { TestClient } from "../../../test/e2e/support/test-client.ts";
import { askBy } from "../platform.ts";
import { NOT_ASKED, type Question, type Row, within } from "../question.ts";
import { SILENCE } from "./sleep.ts";

/** An active object may keep the old code for 300 seconds. */
const LONGEST = 330_000;
/** Time between messages on a socket, in milliseconds. */
const PACE = 1_000;
/** Timeout for a reply on a socket that may be dead, in seconds. */
const PATIENCE = 20;

/** The version of the second deploy. */
const NEXT = "2";

export const deploys: Question = {
  title: "Effect of a deploy on a socket",
  when: "last",
  async ask(platform, { onStep }) {
    if (platform.deploy === undefined) return rows(`${NOT_ASKED}: needs --deploy`);
    const asleep = await platform.connect(platform.newObject());
    const awake = await platform.connect(platform.newObject());
    const time: Time = { deployed: undefined };
    const seenAwake = watch(awake, time);
    onStep("waiting for an object to hibernate");
    await sleep(SILENCE);
    onStep("deploying again");
    await platform.deploy(NEXT);
    time.deployed = performance.now();
    onStep("observing the sockets for some minutes");
    const seen = rows(await watch(asleep, time), await seenAwake);
    for (const client of [asleep, awake]) client.close();
    return seen;
  },
};

function rows(asleep: string, awake = asleep): Row[] {
  return [
    { question: "to a hibernating object", assumed: "unknown", seen: asleep },
    { question: "to an active object", assumed: "closed within 300 s", seen: awake },
  ];
}

interface Time {
  /** When the second deploy was complete. */
  deployed: number | undefined;
}

/** Sends messages on a socket until the new code answers, the socket closes, or time is up. */
async function watch(client: TestClient, time: Time): Promise<string> {
  for (;;) {
    const told = await within(PATIENCE, askBy(client, "identity")).catch(String);
    if (typeof told === "string") return `${told}, ${since(time)}`;
    if (told.version === NEXT) return `open, answered by the new code, ${since(time)}`;
    if (time.deployed !== undefined && performance.now() - time.deployed > LONGEST) {
      return `open, answered by the old code, ${since(time)}`;
    }
    await sleep(PACE);
  }
}

function since({ deployed }: Time): string {
  if (deployed === undefined) return "before the deploy was complete";
  return `${Math.round((performance.now() - deployed) / 1_000)} s after the deploy`;
}
