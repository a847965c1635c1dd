/** Whether a server serves those who have only HTTP. */
import { type Check, ok } from "./findings.ts";
import { newChannel, type Patient } from "./target.ts";

export const post: Check = {
  name: "POST",
  remedy: "whatever is in front has to let POST through",
  async look(patient) {
    const channel = newChannel();
    const answer: unknown = JSON.parse(await announce(patient, channel));
    const isPlaced = typeof answer === "object" && answer !== null && "position" in answer;
    if (!isPlaced) throw new Error(`the answer is ${JSON.stringify(answer)}, without a position`);
    return ok("announces, and tells the position");
  },
};

/** @throws Error if it is refused */
async function announce({ request }: Patient, channel: string): Promise<string> {
  const response = await request(channel, { method: "POST", body: "hello" });
  const said = await response.text();
  if (response.status === 200) return said;
  throw new Error(`POST answers ${response.status}: ${said.trim()}`);
}

export const events: Check = {
  name: "events",
  remedy: "whatever is in front has to pass streams on as they come",
  async look(patient) {
    const channel = newChannel();
    const response = await patient.request(channel, { headers: { Accept: "text/event-stream" } });
    if (response.status !== 200 || !response.body) throw new Error(`GET answers ${response.status}`);
    const events = eventsIn(response.body);
    try {
      await nextEvent(events, "debug");
      await announce(patient, channel);
      const { data, id } = await nextEvent(events, channel);
      if (data !== "hello") throw new Error(`the event has '${data}' instead of 'hello'`);
      if (!id) throw new Error("the event has no id, so nobody can come back to it");
    } finally {
      await events.return();
    }
    return ok("a stream of server-sent events brings what is announced, each with an id");
  },
};

type Event = Record<string, string>;

/** The next event of a name. @throws Error if the stream ends before */
async function nextEvent(events: AsyncGenerator<Event, void>, name: string): Promise<Event> {
  for (;;) {
    const { value, done } = await events.next();
    if (done || !value) throw new Error(`the stream has ended before the event '${name}'`);
    if (value.event === name) return value;
  }
}

/** The fields of each event, as they come. */
async function* eventsIn(body: ReadableStream<Uint8Array>): AsyncGenerator<Event, void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    const blocks = (rest + decoder.decode(chunk, { stream: true })).split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const fields = [...block.matchAll(/^(\w+): (.*)$/gm)].map(([, field = "", value = ""]) => [
        field,
        value,
      ]);
      yield Object.fromEntries(fields);
    }
  }
}
