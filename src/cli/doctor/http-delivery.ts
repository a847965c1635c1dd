/** Checks announcing and subscribing by HTTP. */
import { check, ok } from "./findings.ts";
import { newChannel, type Target } from "./target.ts";

/** @throws Error if the server refuses the message */
async function announce({ request }: Target, channel: string): Promise<string> {
  const response = await request(channel, { method: "POST", body: "hello" });
  const body = await response.text();
  if (response.status === 200) return body;
  throw new Error(`POST answers ${response.status}: ${body.trim()}`);
}

type Event = Record<string, string>;

/** Returns the next event with a name. @throws Error if the stream ends before */
async function nextEvent(events: AsyncGenerator<Event, void>, name: string): Promise<Event> {
  for (;;) {
    const { value, done } = await events.next();
    if (done || !value) throw new Error(`the stream ended before the event '${name}'`);
    if (value.event === name) return value;
  }
}

/** Yields the fields of each event. */
async function* eventsIn(body: ReadableStream<Uint8Array>): AsyncGenerator<Event, void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    const blocks = (rest + decoder.decode(chunk, { stream: true })).split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const fields = [...block.matchAll(/^(\w+): (.*)$/gm)].map(([, field = "", value = ""]) => [field, value]);
      yield Object.fromEntries(fields);
    }
  }
}

export const httpDelivery = [
  check("POST", { remedy: "have the proxy in front of the server forward POST" }, async (target) => {
    const channel = newChannel();
    const answer: unknown = JSON.parse(await announce(target, channel));
    const hasPosition = typeof answer === "object" && answer !== null && "position" in answer;
    if (!hasPosition) throw new Error(`the response is ${JSON.stringify(answer)}, without a position`);
    return ok("announces a message, and returns its position");
  }),
  check(
    "events",
    { remedy: "have the proxy in front of the server forward streams without buffering" },
    async (target) => {
      const channel = newChannel();
      const response = await target.request(channel, { headers: { Accept: "text/event-stream" } });
      if (response.status !== 200 || !response.body) throw new Error(`GET answers ${response.status}`);
      const events = eventsIn(response.body);
      try {
        await nextEvent(events, "debug");
        await announce(target, channel);
        const { data, id } = await nextEvent(events, channel);
        if (data !== "hello") throw new Error(`the event has '${data}' instead of 'hello'`);
        if (!id) throw new Error("the event has no id, so clients can't resume after it");
      } finally {
        await events.return();
      }
      return ok("a stream of server-sent events delivers messages, each with an id");
    },
  ),
];
