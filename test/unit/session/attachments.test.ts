/** The size of attachments, and what objects drop if they have too little room. */
import { serialize } from "node:v8";
import fc from "fast-check";
import { expect, test } from "vitest";
import { fitsItself, isAttachment, sizeOf } from "../../../src/session/attachment.ts";
import type { Connection } from "../../../src/session/connection.ts";
import type { Connections } from "../../../src/session/connections.ts";
import { ClientSocket, connectionsOf } from "../sockets.ts";

/** A socket that limits attachments as the runtime does, by their size after V8 serializes them. */
class Limited extends ClientSocket {
  isBroken = false;
  written = 0;

  override serializeAttachment(attachment: unknown): void {
    this.written += 1;
    if (this.isBroken || serialize(attachment).length > 16_384) throw new Error("too long");
    super.serializeAttachment(attachment);
  }
}

/** Subscribes a connection to channels until its size is almost `bytes`. */
function fill(all: Connections, connection: Connection, bytes: number): void {
  for (let i = 0; connection.size + 258 < bytes; i++) all.subscribe(connection, `${i}`.padEnd(250, "x"));
}

test("plain data is never larger than its estimated size when V8 serializes it", () => {
  const name = fc.oneof(fc.string({ unit: "binary" }), fc.string({ maxLength: 300 }), fc.constant("漢".repeat(85)));
  const { data } = fc.letrec((tie) => ({
    data: fc.oneof(
      { maxDepth: 4 },
      name,
      fc.double(),
      fc.maxSafeInteger(),
      fc.boolean(),
      fc.constant(undefined),
      fc.array(tie("data")),
      fc.dictionary(name, tie("data")),
    ),
  }));
  fc.assert(fc.property(data, (value) => serialize(value).length <= sizeOf(value) + 8));
});

test.each([
  [[["news", "ann", "", 5]], true],
  [[null], false],
  [[{ 0: "news", 1: "ann", 2: "", 3: 5 }], false],
  [[["news", "ann", ""]], false],
  [[["news", "ann", 5, 5]], false],
])("an attachment whose members are %j can be read, or not", (entered, isReadable) => {
  expect(isAttachment({ channels: [], entered })).toBe(isReadable);
});

test("an attachment that changes several times is written once", () => {
  const all = connectionsOf();
  const socket = new Limited();
  const connection = all.accept(socket, undefined);
  fill(all, connection, 10_000);
  all.flush();
  expect([socket.written, isAttachment(socket.attachment)]).toEqual([2, true]);
  all.flush();
  expect(socket.written).toBe(2);
});

test("channel names and grants fit, and so does the most important state of the object", () => {
  const all = connectionsOf();
  const socket = new Limited();
  const names = Array.from({ length: 100 }, (_, i) => `${i}`.padEnd(85, "漢"));
  const connection = all.accept(socket, {
    subscribe: names.slice(0, 10),
    announce: [],
    until: 1e13,
    key: "key",
  });
  for (const name of names) if (all.canSubscribe(connection, name)) all.subscribe(connection, name);
  expect(connection.channels.size).toBeGreaterThan(20);
  expect(all.canSubscribe(connection, names.at(-1) ?? "")).toBe(false);
  expect(all.canGrant(connection, { subscribe: names, announce: names, until: 1e13, key: "key" })).toBe(false);
  const others = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`failures.number-${i}`, 1e13]));
  expect(all.keep({ others })).toBe(false);
  expect(all.keep({ counted: { connections: 7 }, position: 8 })).toBe(true);
  expect(all.keep({ others })).toBe(false);
  all.flush();
  expect(all.writeAttachments()).toEqual([]);
  expect(connectionsOf([socket]).kept).toEqual({ counted: { connections: 7 }, position: 8 });
});

test("the state of the object moves to a socket with room before any of it is dropped", () => {
  const all = connectionsOf();
  const sockets = [new Limited(), new Limited()];
  const [one, two] = sockets.map((socket) => all.accept(socket, undefined));
  if (!one || !two) throw new Error("two connections were expected");
  const others = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`failures.number-${i}`, i]));
  all.flush();
  expect(all.keep({ others, position: 8 })).toBe(true);
  const keepers = () => sockets.map(({ attachment }) => isAttachment(attachment) && attachment.kept);
  expect(keepers()).toEqual([{ others, position: 8 }, undefined]);
  fill(all, one, 14_900);
  all.flush();
  expect(keepers()).toEqual([undefined, { others, position: 8 }]);
  fill(all, two, 14_900);
  all.flush();
  expect(keepers()).toEqual([undefined, { position: 8 }]);
  all.close(two, 1000, "");
  all.keep({ position: 9 });
  expect(keepers()[0]).toEqual({ position: 9 });
});

test("an attachment that the runtime rejects affects its own connection alone", () => {
  const all = connectionsOf();
  const [broken, sound] = [new Limited(), new Limited()];
  const connections = [broken, sound].map((socket) => all.accept(socket, undefined));
  broken.isBroken = true;
  for (const connection of connections) all.subscribe(connection, "news");
  all.flush();
  expect(all.writeAttachments()).toEqual(connections.slice(0, 1));
  expect(isAttachment(sound.attachment)).toBe(true);
  expect(fitsItself(15_001)).toBe(false);
});
