/** What objects do while they are left alone: whether they sleep, and how they are woken. */
import { setTimeout as sleep } from "node:timers/promises";
import { readFacts, textIn } from "../facts.ts";
import { askBy } from "../platform.ts";
import { type Question, within } from "../question.ts";

/** An object that does nothing may stay for 10 seconds. */
export const SILENCE = 15_000;
/** For what should come at once, in seconds. */
const PATIENCE = 30;

const ARRIVES = "arrives on the stream";

export const streams: Question = {
  title: "Whether an object sleeps while a Worker streams what it says",
  when: "beside",
  async ask(platform) {
    const object = platform.newObject();
    const { news, end } = await platform.stream(object);
    const arrives = within(SILENCE / 1_000 + PATIENCE, news).then(
      () => ARRIVES,
      (error: unknown) => `does not arrive: ${String(error)}`,
    );
    const before = await platform.ask(object, "life");
    await sleep(SILENCE);
    const after = await platform.ask(object, "life");
    await platform.ask(object, "tell", { news: 1 });
    const seen = await arrives;
    end();
    return [
      {
        question: `after ${SILENCE / 1_000} s of silence`,
        assumed: "built anew",
        seen: before.life === after.life ? "still in memory" : "built anew",
      },
      {
        question: "what it says then",
        assumed: ARRIVES,
        seen,
      },
    ];
  },
};

export const alarms: Question = {
  title: "What an object knows that is woken by its alarm",
  when: "beside",
  async ask(platform) {
    const listener = await platform.connect(platform.newObject());
    await askBy(listener, "set alarm", { milliseconds: SILENCE });
    const facts = readFacts(await within(SILENCE / 1_000 + PATIENCE, listener.line()));
    listener.close();
    const yes = (holds: unknown) => (holds === true ? "yes" : "no");
    return [
      { question: "it was built anew", assumed: "yes", seen: yes(facts.isAnew) },
      { question: "getAlarm() in its constructor", assumed: "unknown", seen: textIn(facts, "atFirst") },
      { question: "getAlarm() in alarm()", assumed: "null", seen: textIn(facts, "inHandler") },
      { question: "scheduledTime is when it was set for", assumed: "yes", seen: yes(facts.isTime) },
      {
        question: "all that alarm() is told",
        assumed: "isRetry, retryCount, scheduledTime",
        seen: textIn(facts, "info"),
      },
    ];
  },
};
