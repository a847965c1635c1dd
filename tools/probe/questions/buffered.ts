/** Whether an object can tell that a client doesn't read. */
import { once } from "node:events";
import { type Facts, numberIn } from "../facts.ts";
import type { Platform } from "../platform.ts";
import { type Question, within } from "../question.ts";

const MIB = 1 << 20;
/** The default limit for a slow client's backlog, and the bytes sent to reach it. */
const ENOUGH = 4 * MIB;
const BYTES = 24 * MIB;
/** Bytes sent to a client that reads. */
const FEW = 4 * MIB;
/** Timeout for a client to read that, in seconds. */
const PATIENCE = 60;

const ABSENT = "undefined: the property is missing";

export const buffered: Question = {
  title: "bufferedAmount of a hibernatable socket",
  when: "in turn",
  async ask(platform) {
    return [
      {
        question: "while the client doesn't read",
        assumed: "it grows past 4 MiB, and stays",
        seen: await ofStalledClient(platform),
      },
      {
        question: "once the client has read everything",
        assumed: "0",
        seen: await ofReadingClient(platform),
      },
      {
        question: "of frames held back by a commit",
        assumed: "may include them, so no client is judged before the commit",
        seen: await ofHeldFrames(platform),
      },
    ];
  },
};

async function ofStalledClient(platform: Platform): Promise<string> {
  const object = platform.newObject();
  const client = await platform.connect(object);
  client.socket.pause();
  const facts = await platform.ask(object, "flood", { bytes: BYTES, enough: ENOUGH });
  client.close();
  const sent = inMebibytes(facts, "sent");
  if (facts.most === undefined) return ABSENT;
  return `${inMebibytes(facts, "most")} after ${sent} were sent, ${inMebibytes(facts, "later")} a second later`;
}

async function ofReadingClient(platform: Platform): Promise<string> {
  const object = platform.newObject();
  const client = await platform.connect(object);
  let read = 0;
  client.count((bytes) => {
    read += bytes;
  });
  const { sent } = await platform.ask(object, "flood", { bytes: FEW, enough: BYTES });
  const hasReadAll = async () => {
    while (read < Number(sent)) await once(client.socket, "message");
  };
  await within(PATIENCE, hasReadAll());
  const facts = await platform.ask(object, "buffered");
  client.close();
  return facts.waiting === undefined ? ABSENT : String(facts.waiting);
}

async function ofHeldFrames(platform: Platform): Promise<string> {
  const object = platform.newObject();
  const client = await platform.connect(object);
  const facts = await platform.ask(object, "held");
  client.close();
  if (facts.before === undefined) return ABSENT;
  return `${inMebibytes(facts, "before")} of ${inMebibytes(facts, "sent")} before, ${inMebibytes(facts, "after")} after it`;
}

function inMebibytes(facts: Facts, name: string): string {
  return `${(numberIn(facts, name) / MIB).toFixed(1)} MiB`;
}
