/** What stays, and what doesn't, when a connection ends. */
import { expect, test } from "vitest";
import type { ConnectionClaim } from "../../../src/runtime/calls.ts";
import { settled } from "../settled.ts";
import { ClientSocket } from "../sockets.ts";
import { objectOf } from "./object.ts";
import { Service } from "./service.ts";

const RETENTION = 120_000;

test("the position of a client that leaves stays valid for one retention time, however long it was connected", {
  tags: ["position-valid"],
}, async () => {
  const service = new Service();
  const client = await service.connect("news", { since: "now" });
  const [position] = client.read().flatMap((line) => /^debug!position news (\d+)$/.exec(line)?.[1] ?? []);
  await client.ask("announce news a");
  const next = Number(position) + 1;
  const pass = async (milliseconds: number) => {
    service.now += milliseconds;
    service.broker("news").alarmed();
    await settled();
  };
  for (let i = 0; i < 10; i++) await pass(RETENTION);
  service.broker("news").closed(client);
  await settled();
  service.crash("news");
  await pass(RETENTION - 1_000);
  service.crash("news");
  const again = await service.connect("news", { since: next });
  expect(again.read()).toEqual(["debug!connected...", `debug!position news ${next}`]);
});

test("a client that is closed receives no message that isn't stored yet", { tags: ["stored-first"] }, async () => {
  const rows = new Map<string, unknown>();
  const limits = { maxBufferedBytes: 1_000_000 };
  const { broker } = objectOf({ name: "news", rows, limits, others: { link: async () => ({ after: 10 }) } });
  /** The lines, and the rows of messages when they were sent. */
  const sent: [text: string, rows: string[]][] = [];
  class Watching extends ClientSocket {
    override send(text: string): void {
      sent.push([text, [...rows.keys()].filter((key) => key.startsWith("history:"))]);
    }
  }
  const socket = new Watching();
  broker.opened(socket);
  await settled();
  sent.length = 0;
  broker.received(socket, "announce news a");
  broker.received(socket, "x".repeat(1_000_001));
  expect(socket.closed).toMatch(/^limit: /);
  expect(sent).toEqual([["news!a\n", ["history:0"]]]);
});

test("a client that leaves before the service admits it takes up no room", async () => {
  const claims: ConnectionClaim[] = [];
  const { promise: granted, resolve } = Promise.withResolvers<number>();
  const others = {
    link: async () => ({ after: 10 }),
    claim: (_: string, claim: ConnectionClaim) => {
      claims.push(claim);
      return claims.length === 1 ? granted : Promise.resolve(claim.wanted);
    },
  };
  const { broker } = objectOf({ name: "news", limits: { clientLimit: 1 }, others });
  const socket = new ClientSocket();
  broker.opened(socket);
  await settled();
  broker.closed(socket);
  resolve(1);
  await settled();
  expect(claims.map(({ held, wanted }) => ({ held, wanted }))).toEqual([
    { held: 0, wanted: 1 },
    { held: 0, wanted: 0 },
  ]);
});
