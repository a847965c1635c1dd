/** Idle objects: whether they leave memory, and how they wake. */
import { setTimeout as sleep } from "node:timers/promises";
import { readFacts, textIn } from "../facts.ts";
import { askBy } from "../platform.ts";
import { type Question, within } from "../question.ts";

/** The runtime evicts an object after 10 idle seconds. */
export const SILENCE = 15_000;
/** Timeout for what should happen at once, in seconds. */
const PATIENCE = 30;

const ARRIVES = "arrives on the stream";

export const streams: Question = {
  title: "Whether an object hibernates while a Worker streams its messages",
  when: "beside",
  async ask(platform) {
    const object = platform.newObject();
    const { news, end } = await platform.stream(object);
    const arrives = within(SILENCE / 1_000 + PATIENCE, news).then(
      () => ARRIVES,
      (error: unknown) => `does not arrive: ${String(error)}`,
    );
    const before = await platform.ask(object, "identity");
    await sleep(SILENCE);
    const after = await platform.ask(object, "identity");
    await platform.ask(object, "broadcast", { news: 1 });
    const seen = await arrives;
    end();
    return [
      {
        question: `after ${SILENCE / 1_000} s of silence`,
        assumed: "rebuilt",
        seen: before.incarnation === after.incarnation ? "still in memory" : "rebuilt",
      },
      {
        question: "a message it sends then",
        assumed: ARRIVES,
        seen,
      },
    ];
  },
};

export const alarms: Question = {
  title: "What an object woken by its alarm knows",
  when: "beside",
  async ask(platform) {
    const client = await platform.connect(platform.newObject());
    await askBy(client, "set alarm", { milliseconds: SILENCE });
    const facts = readFacts(await within(SILENCE / 1_000 + PATIENCE, client.line()));
    client.close();
    const yes = (holds: unknown) => (holds === true ? "yes" : "no");
    return [
      { question: "it was rebuilt", assumed: "yes", seen: yes(facts.isRebuilt) },
      { question: "getAlarm() in its constructor", assumed: "unknown", seen: textIn(facts, "atFirst") },
      { question: "getAlarm() in alarm()", assumed: "null", seen: textIn(facts, "inHandler") },
      { question: "scheduledTime is the time that was set", assumed: "yes", seen: yes(facts.isTime) },
      {
        question: "properties of alarm()'s argument",
        assumed: "isRetry, retryCount, scheduledTime",
        seen: textIn(facts, "info"),
      },
    ];
  },
};
