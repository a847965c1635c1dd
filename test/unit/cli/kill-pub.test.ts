/** `fanout pub --key`, killed at every step and run again, as the server and the reader of its output see it. */
import { expect, test } from "vitest";
import { runHere } from "./in-process.ts";

/** Equal messages under different keys, and an empty line, which has a number too. */
const INPUT = ["one", "same", "", "same", "four"];
const ANNOUNCED = ["one", "same", "same", "four"];
const KEYS = new Map([1, 2, 4, 5].map((line, i) => [`job-${line}`, i + 1]));
const PRINTED = [1, 2, 4, 5].map((line, i) => `{"channel":"news","line":${line},"position":${i + 1}}`);

/** A server that retains all messages and their keys. */
class Server {
  readonly texts: string[] = [];
  /** Positions by key. */
  readonly keys = new Map<string, number>();

  /** Announces a message unless its key is known; returns its position. */
  once(key: string, text: string): number {
    const position = this.keys.get(key) ?? this.texts.push(text);
    this.keys.set(key, position);
    return position;
  }
}

/** Runs the program until a step: it reads input, or prints; the server executes a line, or replies to it. */
async function run(server: Server, chunks: string[], killBefore = Number.POSITIVE_INFINITY) {
  const printed: string[] = [];
  let steps = 0;
  const isKilled = () => steps > killBefore;
  const step = () => {
    steps += 1;
    return !isKilled();
  };
  const reply = (line: string) => {
    const [command, key = "", , text = ""] = line.split(" ");
    if (command !== "once") return command === "ping" ? ["1700000000"] : [];
    if (!step()) return [];
    const position = server.once(key, text);
    return step() ? [`debug!once ${key} ${position}`] : [];
  };
  const consume = (text: string) => {
    if (!step()) throw new Error("killed");
    printed.push(text.trimEnd());
  };
  async function* input(): AsyncGenerator<Uint8Array> {
    for (const chunk of chunks) {
      if (!step()) await new Promise(() => {});
      yield Buffer.from(chunk);
    }
  }
  const words = ["pub", "ws://localhost", "news", "--key", "job", "--json"];
  const { code } = await runHere(words, { reply, consume, input: input(), isKilled });
  return { code, printed, isKilled: isKilled() };
}

const lines = INPUT.map((text) => `${text}\n`);
test.each([
  ["at once", [lines.join("")]],
  ["line by line", lines],
])(
  "killed at any step, it announces each line once, in order, if its input is repeated %s",
  {
    tags: ["pub-repeats"],
  },
  async (_, chunks) => {
    let kills = 0;
    for (let isKilled = true; isKilled; kills++) {
      const server = new Server();
      const first = await run(server, chunks, kills);
      isKilled = first.isKilled;
      // Nothing is printed that isn't announced, and all that is announced is the beginning of the input.
      expect(server.texts).toEqual(ANNOUNCED.slice(0, server.texts.length));
      expect(first.printed).toEqual(PRINTED.slice(0, Math.min(first.printed.length, server.texts.length)));
      const second = await run(server, chunks);
      expect(second, `killed before step ${kills}`).toEqual({ code: 0, printed: PRINTED, isKilled: false });
      expect(server.texts).toEqual(ANNOUNCED);
      expect(server.keys).toEqual(KEYS);
    }
    // Each message has three steps, and each piece of the input one.
    expect(kills).toBe(ANNOUNCED.length * 3 + chunks.length + 1);
  },
);
