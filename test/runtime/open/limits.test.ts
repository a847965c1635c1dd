/** Limits of clients, their errors, and that exceeding them doesn't affect other clients. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MAX_NAME_BYTES } from "../../../src/protocol/channels.ts";
import { utf8Length } from "../../../src/protocol/text.ts";
import { readLimits } from "../../../src/runtime/limits.ts";
import { noTotals } from "../../../src/stats/totals.ts";
import { byChannel } from "../../by-channel.ts";
import { connectionsOf } from "../../unit/sockets.ts";
import { Client } from "../support/client.ts";
import { expectDelivery, expectNoMore, sendAll } from "../support/connections.ts";
import { evict, evictAll, hold, keys, settleQuickly, unique } from "../support/service.ts";

settleQuickly();

// The tests use the default settings.
const { maxLineBytes, maxChannelsPerConnection, maxBufferedBytes, linesPerSecond } = readLimits({});

const scripts = [
  { script: "ASCII", character: "a" },
  { script: "Latin-1", character: "\u00e9" },
  { script: "Chinese", character: "\u6f22" },
  { script: "emoji", character: "\u{1f600}" },
];

/** Returns a text of a given length in bytes, which repeats `part`. */
function textOf(bytes: number, part: string): string {
  const size = utf8Length(part);
  return part.repeat(Math.floor(bytes / size)) + "z".repeat(bytes % size);
}

describe("a line", () => {
  test.each(scripts)(
    "with $script has its length counted in bytes",
    { tags: ["line-length"] },
    async ({ character }) => {
      const room = unique("room");
      const [announcer, listener] = await Promise.all([Client.connect(room), Client.connect(room)]);
      const command = `announce ${room} `;
      const longest = textOf(maxLineBytes - command.length, character);
      const commands = [`${command}before`, command + longest, `${command}${longest}z`, `${command}after`];
      const refusal = `debug!error limit announce ${room}: a line has at most ${maxLineBytes} bytes; split the message, or raise MAX_LINE_BYTES`;

      announcer.send(commands.join("\n"));
      const before = [`${room}!before`, `${room}!${longest}`];
      expect(await announcer.ping()).toEqual([...before, refusal, `${room}!after`]);
      announcer.send(new TextEncoder().encode(commands.join("\n")));
      expect(await announcer.ping()).toEqual([...before, refusal, `${room}!after`]);
      const heard = [...before, `${room}!after`];
      expect(await listener.lines(2 * heard.length)).toEqual([...heard, ...heard]);
      expect(await listener.ping()).toEqual([]);
    },
  );
});

describe("a frame", () => {
  const kinds = [
    { kind: "text", make: (text: string) => text },
    { kind: "binary", make: (text: string) => new TextEncoder().encode(text) },
  ];

  test.each(kinds)("of $kind is limited in size", { tags: ["frames-in", "close-frame"] }, async ({ make }) => {
    const room = unique("room");
    const [client, giant, listener] = await Promise.all([
      Client.connect(room),
      Client.connect(room),
      Client.connect(room),
    ]);
    const start = `announce ${room} before\n`;
    const longest = start + textOf(maxBufferedBytes - start.length, "\u00e9");
    client.send(make(longest));
    expect(await client.ping()).toEqual([
      `${room}!before`,
      `debug!error limit line: a line has at most ${maxLineBytes} bytes; split the message, or raise MAX_LINE_BYTES`,
    ]);
    giant.send(make(`${longest}z`));
    expect(await giant.closed).toEqual({
      code: 1009,
      reason: `limit: a frame has at most ${maxBufferedBytes} bytes`,
    });
    expect(await listener.ping()).toEqual([`${room}!before`]);
    await expectDelivery(client, room, client, listener);
  });
});

describe("lines per second", () => {
  const many = (lines: number) => Array.from({ length: lines }, () => "ping").join("\n");
  const times = async (client: Client, count: number) => {
    for (const line of await client.lines(count)) expect(line).toMatch(/^\d{10}$/);
  };
  const refusal = (head: string) =>
    `debug!error rate ${head}: at most ${linesPerSecond} lines per second are carried out; send this again later`;

  // Each client sends one frame, so that no time passes between its lines.
  test.each([
    ["text", (text: string) => text],
    ["binary", (text: string) => new TextEncoder().encode(text)],
  ])("as %s are limited", async (_, make) => {
    const [within, beyond, neighbour] = await Promise.all([Client.connect(), Client.connect(), Client.connect()]);
    within.send(make(many(linesPerSecond)));
    beyond.send(make(`${many(linesPerSecond)}\nannounce all ignored\nping\n\n`));
    await times(within, linesPerSecond);
    await times(beyond, linesPerSecond);
    expect(await beyond.lines(2)).toEqual([refusal("announce all"), refusal("ping")]);
    expect(await neighbour.ping()).toEqual([]);
  });

  test("above the limit are refused, and above twice the limit the connection is closed", {
    tags: ["lines-rate", "close-rate", "error-rate", "close-sent-at-once"],
  }, async () => {
    const room = unique("room");
    const [bold, rude, neighbour] = await Promise.all([
      Client.connect(room),
      Client.connect(room),
      Client.connect(room),
    ]);
    bold.send(many(2 * linesPerSecond));
    rude.send(`announce ${room} unheard\n${many(2 * linesPerSecond)}`);
    await times(bold, linesPerSecond);
    expect(await bold.lines(linesPerSecond)).toEqual(Array(linesPerSecond).fill(refusal("ping")));
    expect(await rude.closed).toEqual({
      code: 1008,
      reason: `rate: far more than ${linesPerSecond} lines per second`,
    });
    await expectDelivery(neighbour, room, neighbour, bold);
  });
});

describe("channels of one connection", () => {
  test("are limited in number, `all` included", { tags: ["channels-limit"] }, async () => {
    const [client, other] = await Promise.all([Client.connect(), Client.connect()]);
    const prefix = unique("many");
    const names = Array.from({ length: maxChannelsPerConnection - 1 }, (_, i) => `${prefix}-${i}`);
    const [first = "", ...rest] = names;
    await sendAll([client], names.map((name) => `subscribe ${name}`).join("\n"));

    const extra = unique("extra");
    client.send(`subscribe ${extra}`);
    const refusal = (channel: string) =>
      `debug!error limit subscribe ${channel}: a connection has at most ${maxChannelsPerConnection} channels`;
    expect(await client.ping()).toEqual([refusal(extra)]);
    // Subscribing again to the same channels is allowed.
    await sendAll([client], `subscribe ${first}\nsubscribe all`);
    await evict("all");
    for (const name of [...names.slice(0, 3), ...names.slice(-3)]) await expectDelivery(other, name, client);
    await sendAll([other], `announce ${extra} unheard`);
    await sendAll([client], `unsubscribe ${first}\nsubscribe ${extra}`);
    await expectDelivery(other, extra, client);
    client.send(`subscribe ${first}`);
    expect(await client.ping()).toEqual([refusal(first)]);
    for (const name of rest.slice(0, 3)) await expectDelivery(other, name, client);
    await client.close();
  });

  test("are limited in the total length of their names", { tags: ["names-fit", "error-limit"] }, async () => {
    const mixture = scripts.map(({ character }) => character).join("");
    const client = await Client.connect(unique("home"));
    const neighbour = await Client.connect(unique("neighbour"));
    const prefix = unique("long");
    const names = Array.from({ length: 70 }, (_, i) => {
      const start = `${prefix}-${i}-`;
      return start + textOf(MAX_NAME_BYTES - start.length, mixture);
    });
    client.send(names.map((name) => `subscribe ${name}`).join("\n"));
    const replies = await client.ping();
    // All names are equally long, so the last ones were refused.
    const held = names.slice(0, names.length - replies.length);
    const why = "the names of this connection's channels are too long together";
    const refusals = names.slice(held.length).map((name) => `debug!error limit subscribe ${name}: ${why}`);
    expect(replies).toEqual(refusals);
    expect(held.length).toBeGreaterThanOrEqual(50);

    await evictAll();
    client.send(names.map((name) => `announce ${name} 1`).join("\n"));
    expect(byChannel(await client.ping())).toEqual(byChannel(held.map((name) => `${name}!1`)));
    await sendAll([client], `unsubscribe ${held[0]}\nunsubscribe ${held[1]}`);
    const short = unique("short");
    await sendAll([client], `subscribe ${short}`);
    await expectDelivery(neighbour, short, client);
    await client.close();
  });

  test("always fit into the socket's attachment", () => {
    const character = fc.oneof(
      fc.constantFrom(...scripts.map((each) => each.character)),
      fc.string({ unit: "binary", minLength: 1, maxLength: 1 }),
    );
    const text = fc
      .tuple(fc.array(character, { minLength: 1, maxLength: 4 }), fc.integer({ min: 1, max: MAX_NAME_BYTES }))
      .map(([characters, length]) => characters.join("").repeat(length).slice(0, length));
    const name = text.filter((candidate) => utf8Length(candidate) <= MAX_NAME_BYTES);
    const names = fc.uniqueArray(name, { minLength: 20, maxLength: 150, size: "max" });

    const connections = connectionsOf([], { maxBufferedBytes, maxPendingBytes: maxBufferedBytes });
    const { 1: socket } = new WebSocketPair();
    const n = Number.MAX_SAFE_INTEGER;
    const totals = Object.fromEntries(Object.keys(noTotals()).map((counter) => [counter, n]));
    const counted = { revision: n, saved: n, totals, peak: n };
    let refused = 0;
    fc.assert(
      fc.property(names, (wanted) => {
        const connection = connections.accept(socket, undefined);
        for (const channel of wanted) {
          if (connections.canSubscribe(connection, channel)) connections.subscribe(connection, channel);
          else refused += 1;
        }
        connections.flush();
        // One socket's attachment also has the object's counters, here with the longest numbers.
        expect(connections.keep({ counted, position: n })).toBe(true);
        const attached = { channels: [...connection.channels], kept: { counted, position: n } };
        expect(socket.deserializeAttachment()).toEqual(attached);
        expect(connections.writeAttachments()).toEqual([]);
        connections.remove(connection);
      }),
      // Shrinking examples with such long names would take minutes.
      { numRuns: 60, endOnFailure: true },
    );
    // Otherwise nothing was tested.
    expect(refused).toBeGreaterThan(0);
    expect(() => socket.serializeAttachment({ channels: ["x".repeat(16_384)] })).toThrow();
  });
});

describe("the queue", () => {
  // A queued frame has overhead, so empty frames count too.
  const frame = "x".repeat(maxLineBytes - 101);
  const frames = maxBufferedBytes / maxLineBytes;

  test("of one connection's commands is limited", { tags: ["commands-buffer", "close-waiting"] }, async () => {
    const home = unique("home");
    const [patient, greedy, neighbour] = await Promise.all([
      Client.connect(home),
      Client.connect(home),
      Client.connect(home),
    ]);
    const third = unique("third");
    const link = hold(third, "link");
    for (const client of [patient, greedy]) client.send(`subscribe ${third}`);
    await link.begun();
    for (const client of [patient, greedy]) for (let i = 0; i < frames; i++) client.send(frame);
    greedy.send("\n");
    expect(await greedy.closed).toEqual({
      code: 1008,
      reason: "limit: too many commands are pending",
    });
    await expectDelivery(neighbour, home, neighbour, patient);

    link.release();
    // One error for each frame, none of which is a command. Not even a `ping` fits in the queue.
    const replies = [await patient.line()];
    replies.push(...(await patient.ping()));
    expect(replies).toEqual(Array(frames).fill(expect.stringMatching(/^debug!error invalid line: unknown command/)));
    await expectDelivery(neighbour, third, patient);
    await patient.close();
    await evictAll();
    expect(await keys(third, "downstream:")).toEqual([]);
    await expectNoMore(neighbour);
  });

  test("of announcements for one channel is limited", { tags: ["forwarding-buffer"] }, async () => {
    const home = unique("home");
    const room = unique("room");
    const command = `announce ${room} `;
    const listener = await Client.connect(room);
    const announcers = await Promise.all(Array.from({ length: frames + 4 }, () => Client.connect(home)));
    const [first, ...others] = announcers;
    const announcement = hold(room, "forward");
    first?.send(`${command}first`);
    await announcement.begun();
    for (const [i, client] of others.entries()) {
      client.send(`${command}${i} ${"x".repeat(maxLineBytes - command.length - 4)}\nping`);
    }
    // Announcements that don't fit are refused at once, before the queued ones are executed.
    const refusals = await others.at(-1)?.untilTime();
    const why = "too many announcements are pending for this channel; try again";
    expect(refusals).toEqual([`debug!error unavailable announce ${room}: ${why}`]);
    announcement.release();

    const replies = await Promise.all(others.slice(0, -1).map((client) => client.untilTime()));
    const numbers = replies.flatMap((reply, i) => (reply.length === 0 ? [i] : []));
    expect(numbers.length).toBeGreaterThanOrEqual(frames - 1);
    const heard = await listener.lines(1 + numbers.length);
    expect(heard[0]).toBe(`${room}!first`);
    const got = heard.slice(1).map((line) => Number(line.slice(room.length + 1).split(" ")[0]));
    // Connections have no order between them.
    expect(got.sort((a, b) => a - b)).toEqual(numbers);
    await expectNoMore(listener);
    for (const client of announcers) await client.close();
  });

  test("of deliveries to an unresponsive object is limited", { tags: ["link-buffer"] }, async () => {
    const home = unique("home");
    const room = unique("room");
    const [local, remote, idle] = await Promise.all([Client.connect(room), Client.connect(home), Client.connect(home)]);
    await sendAll([remote], `subscribe ${room}`);
    const delivery = hold(home, "deliver");
    const command = `announce ${room} `;
    const message = "x".repeat(maxLineBytes - command.length);
    for (let i = 0; i < frames + 1; i++) local.send(command + message);
    expect(await local.ping()).toEqual(Array(frames + 1).fill(`${room}!${message}`));
    await delivery.begun();
    delivery.release();
    expect(await remote.closed).toEqual({
      code: 1013,
      reason: "unavailable: messages may be missing; connect again",
    });

    await sendAll([idle], `subscribe ${room}`);
    await expectDelivery(local, room, local, idle);
    await expectNoMore(local, idle);
  });
});
