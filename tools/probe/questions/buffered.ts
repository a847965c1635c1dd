/** Whether an object can see that a client does not read. */
import { once } from "node:events";
import { type Facts, numberIn } from "../facts.ts";
import type { Platform } from "../platform.ts";
import { type Question, within } from "../question.ts";

const MIB = 1 << 20;
/** What waits for a client when it is too slow by default, and what is sent to find out. */
const ENOUGH = 4 * MIB;
const BYTES = 24 * MIB;
/** What a client that reads is sent. */
const FEW = 4 * MIB;
/** For a client to read that, in seconds. */
const PATIENCE = 60;

const ABSENT = "undefined: it is not there";

export const buffered: Question = {
  title: "What bufferedAmount of a hibernatable socket says",
  when: "in turn",
  async ask(platform) {
    return [
      {
        question: "while the client does not read",
        assumed: "it grows past 4 MiB, and stays",
        seen: await ofOneWhoDoesNotRead(platform),
      },
      {
        question: "when the client has read all",
        assumed: "0",
        seen: await ofOneWhoReads(platform),
      },
      {
        question: "of frames that a commit holds back",
        assumed: "it may count them, so nobody is judged before the commit",
        seen: await ofHeldFrames(platform),
      },
    ];
  },
};

async function ofOneWhoDoesNotRead(platform: Platform): Promise<string> {
  const object = platform.newObject();
  const listener = await platform.connect(object);
  listener.socket.pause();
  const facts = await platform.ask(object, "flood", { bytes: BYTES, enough: ENOUGH });
  listener.close();
  const sent = inMebibytes(facts, "sent");
  if (facts.most === undefined) return ABSENT;
  return `${inMebibytes(facts, "most")} when ${sent} were sent, ${inMebibytes(facts, "later")} a second later`;
}

async function ofOneWhoReads(platform: Platform): Promise<string> {
  const object = platform.newObject();
  const listener = await platform.connect(object);
  let read = 0;
  listener.count((bytes) => {
    read += bytes;
  });
  const { sent } = await platform.ask(object, "flood", { bytes: FEW, enough: BYTES });
  const hasReadAll = async () => {
    while (read < Number(sent)) await once(listener.socket, "message");
  };
  await within(PATIENCE, hasReadAll());
  const facts = await platform.ask(object, "buffered");
  listener.close();
  return facts.waiting === undefined ? ABSENT : String(facts.waiting);
}

async function ofHeldFrames(platform: Platform): Promise<string> {
  const object = platform.newObject();
  const listener = await platform.connect(object);
  const facts = await platform.ask(object, "held");
  listener.close();
  if (facts.before === undefined) return ABSENT;
  return `${inMebibytes(facts, "before")} of ${inMebibytes(facts, "sent")} before, ${inMebibytes(facts, "after")} after it`;
}

function inMebibytes(facts: Facts, name: string): string {
  return `${(numberIn(facts, name) / MIB).toFixed(1)} MiB`;
}
