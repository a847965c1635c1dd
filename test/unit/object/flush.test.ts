/** Output is buffered: in which order, for how long, and in frames of which size. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Broker } from "../../../src/object/broker.ts";
import { readLimits } from "../../../src/runtime/limits.ts";
import { settled } from "../settled.ts";
import { ClientSocket, socketsOf } from "../sockets.ts";
import { fakeRuntime } from "../tree/fake-runtime.ts";
import { until } from "../until.ts";

/** A socket that records the frames sent to it. */
class Frames extends ClientSocket {
  readonly frames: string[] = [];

  override send(text: string): void {
    super.send(text);
    this.frames.push(text);
  }
}

/**
 * The object of `all` with greeted sockets.
 * @param turned called for each turn of the event loop before a flush
 */
async function open(count: number, turned: () => void = () => {}) {
  const runtime = {
    ...fakeRuntime("all", new Map()),
    turn: async () => {
      await undefined;
      turned();
    },
  };
  const broker = new Broker(runtime, socketsOf(), readLimits({}), undefined).start();
  const sockets = Array.from({ length: count }, () => new Frames());
  for (const socket of sockets) broker.opened(socket);
  await settled();
  for (const socket of sockets) {
    socket.text = "";
    socket.frames.length = 0;
  }
  return { broker, sockets };
}

test.each([
  { sockets: 2, most: 2 },
  { sockets: 100, most: 25 },
  { sockets: 400, most: 64 },
])("a flood delays the output of $sockets sockets for at most $most turns and a timer", async (bound) => {
  let turns = 0;
  let flood = () => {};
  const { broker, sockets } = await open(bound.sockets, () => {
    turns += 1;
    flood();
  });
  const [flooder, bystander] = sockets;
  if (!flooder || !bystander) throw new Error("no sockets");
  turns = 0;
  flood = () => broker.received(flooder, "announce all more");
  broker.received(bystander, "ping");
  broker.received(flooder, "announce all first");
  await until(() => bystander.frames.length > 0);
  expect(turns).toBe(bound.most);
  expect(bystander.lines[0]).toMatch(/^\d+$/);
});

test("without a flood, output is delayed for two turns", async () => {
  let turns = 0;
  const { broker, sockets } = await open(1, () => {
    turns += 1;
  });
  const [socket] = sockets;
  if (!socket) throw new Error("no socket");
  turns = 0;
  broker.received(socket, "announce all hi");
  await settled();
  expect({ turns, frames: socket.frames }).toEqual({ turns: 2, frames: ["all!hi\n"] });
});

/** A command of one of three sockets. */
const command = fc.record({
  socket: fc.nat(2),
  text: fc.constantFrom("announce all ", "ping", "nonsense", "subscribe all", "unsubscribe all"),
});

type Command = typeof command extends fc.Arbitrary<infer T> ? T : never;

interface Reader {
  subscribed: boolean;
  /** The expected lines; errors are shortened. */
  lines: string[];
}

/** Adds the expected lines of command number `i`. */
function expectLines(readers: Reader[], { socket, text }: Command, i: number): void {
  const reader = readers[socket];
  if (!reader) throw new Error("no reader");
  switch (text) {
    case "subscribe all":
    case "unsubscribe all":
      reader.subscribed = text === "subscribe all";
      break;
    case "ping":
      reader.lines.push("0");
      break;
    case "nonsense":
      reader.lines.push("error");
      break;
    case "announce all ":
      for (const { subscribed, lines } of readers) if (subscribed) lines.push(`all!${i}`);
  }
}

test("each socket gets its lines in order, in one frame", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { maxLength: 30 }), async (commands) => {
      const { broker, sockets } = await open(3);
      const readers = sockets.map((): Reader => ({ subscribed: true, lines: [] }));
      for (const [i, each] of commands.entries()) {
        const socket = sockets[each.socket];
        if (socket) broker.received(socket, each.text.endsWith(" ") ? `${each.text}${i}` : each.text);
        expectLines(readers, each, i);
      }
      await settled();
      const short = (line: string) => line.replace(/^debug!error .*/, "error");
      expect(sockets.map(({ lines }) => lines.map(short))).toEqual(readers.map(({ lines }) => lines));
      expect(Math.max(...sockets.map(({ frames }) => frames.length))).toBeLessThanOrEqual(1);
    }),
  );
});

test("frames have whole lines, and at most 64 KiB unless a single line is longer", {
  tags: ["frames-out"],
}, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 65_000 }), { minLength: 1, maxLength: 20 }),
      async (lengths) => {
        const { broker, sockets } = await open(1);
        const [socket] = sockets;
        if (!socket) throw new Error("no socket");
        for (const length of lengths) broker.received(socket, `announce all ${"x".repeat(length)}`);
        await settled();
        for (const frame of socket.frames) {
          expect(frame.endsWith("\n")).toBe(true);
          expect(frame.length <= 65_536 || frame.indexOf("\n") === frame.length - 1).toBe(true);
        }
        expect(socket.lines.map((line) => line.length - "all!".length)).toEqual(lengths);
      },
    ),
  );
});
