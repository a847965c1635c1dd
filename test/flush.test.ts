/** What is gathered, in which order, for how long, and in frames of which size. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Branch } from "../src/branch.ts";
import type { Socket } from "../src/connections.ts";
import { readSettings } from "../src/settings.ts";
import { Client } from "./client.ts";
import { intercept, unique } from "./service.ts";
import { stillWorld } from "./world.ts";

/** A socket that keeps the frames sent to it. */
class Frames implements Socket {
  readonly bufferedAmount = 0;
  readonly frames: string[] = [];
  #attachment: unknown;

  send(text: string): void {
    this.frames.push(text);
  }

  get lines(): string[] {
    return this.frames.join("").split("\n").slice(0, -1);
  }

  close(): void {}

  serializeAttachment(attachment: unknown): void {
    this.#attachment = attachment;
  }

  deserializeAttachment(): unknown {
    return this.#attachment;
  }
}

/**
 * The object of `all` with greeted sockets.
 * @param turned called each time it turns the event loop before it sends what it has gathered
 */
async function open(count: number, turned: () => void = () => {}) {
  const world = {
    ...stillWorld("all", new Map()),
    turn: async () => {
      await undefined;
      turned();
    },
  };
  const branch = new Branch(world, { acceptWebSocket: () => {}, getWebSockets: () => [] }, readSettings({}));
  const sockets = Array.from({ length: count }, () => new Frames());
  for (const socket of sockets) branch.opened(socket);
  await settled();
  for (const socket of sockets) socket.frames.length = 0;
  return { branch, sockets };
}

/** Ends when all promises that depend on nothing else have been settled. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 1_000; turn++) await undefined;
}

test.each([
  { sockets: 2, most: 2 },
  { sockets: 100, most: 25 },
  { sockets: 400, most: 64 },
])(
  "a flood puts off what is due to $sockets sockets for no more than $most turns and a timer",
  async (bound) => {
    let turns = 0;
    let flood = () => {};
    const { branch, sockets } = await open(bound.sockets, () => {
      turns += 1;
      flood();
    });
    const [flooder, bystander] = sockets;
    if (!flooder || !bystander) throw new Error("no sockets");
    turns = 0;
    flood = () => branch.received(flooder, "announce all more");
    branch.received(bystander, "ping");
    branch.received(flooder, "announce all first");
    while (bystander.frames.length === 0) await undefined;
    expect(turns).toBe(bound.most);
    expect(bystander.lines[0]).toMatch(/^\d+$/);
  },
);

test("without a flood, two turns are enough", async () => {
  let turns = 0;
  const { branch, sockets } = await open(1, () => {
    turns += 1;
  });
  const [socket] = sockets;
  if (!socket) throw new Error("no socket");
  turns = 0;
  branch.received(socket, "announce all hi");
  await settled();
  expect({ turns, frames: socket.frames }).toEqual({ turns: 2, frames: ["all!hi\n"] });
});

/** What happens in one turn, and which sockets read what of it, one after another. */
const happening = fc.record({
  who: fc.nat(2),
  says: fc.constantFrom("announce all ", "ping", "nonsense", "subscribe all", "unsubscribe all"),
});

test("each socket reads its lines in the order in which they came about, in one frame", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(happening, { maxLength: 30 }), async (happenings) => {
      const { branch, sockets } = await open(3);
      const expected: string[][] = sockets.map(() => []);
      const subscribed = sockets.map(() => true);
      for (const [i, { who, says }] of happenings.entries()) {
        const socket = sockets[who];
        if (socket) branch.received(socket, says.endsWith(" ") ? `${says}${i}` : says);
        if (says === "subscribe all") subscribed[who] = true;
        if (says === "unsubscribe all") subscribed[who] = false;
        if (says === "ping") expected[who]?.push("0");
        if (says === "nonsense") expected[who]?.push("error");
        if (says === "announce all ") {
          for (const [n, lines] of expected.entries()) if (subscribed[n]) lines.push(`all!${i}`);
        }
      }
      await settled();
      const short = (line: string) => line.replace(/^debug!error .*/, "error");
      expect(sockets.map(({ lines }) => lines.map(short))).toEqual(expected);
      expect(Math.max(...sockets.map(({ frames }) => frames.length))).toBeLessThanOrEqual(1);
    }),
  );
});

test("frames hold whole lines, and no more than 64 KiB unless one line is longer", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 65_000 }), { minLength: 1, maxLength: 20 }),
      async (lengths) => {
        const { branch, sockets } = await open(1);
        const [socket] = sockets;
        if (!socket) throw new Error("no socket");
        for (const length of lengths) branch.received(socket, `announce all ${"x".repeat(length)}`);
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

test("10,000 announcements in a frame, for a channel elsewhere, are one call", async () => {
  const [home, channel] = [unique("home"), unique("elsewhere")];
  const listener = await Client.connect(channel);
  const publisher = await Client.connect(home);
  let calls = 0;
  intercept(channel, "announce", (carryOut) => {
    calls += 1;
    return carryOut();
  });
  publisher.send(Array.from({ length: 10_000 }, (_, i) => `announce ${channel} ${i}`).join("\n"));
  expect(await publisher.ping()).toEqual([]);
  expect(await listener.lines(10_000)).toEqual(Array.from({ length: 10_000 }, (_, i) => `${channel}!${i}`));
  expect(calls).toBe(1);
});
