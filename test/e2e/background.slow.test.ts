/**
 * Every transport while other clients put a load on the same object: bystanders receive each message once and in order,
 * before the suite's patience ends, and again when all has been silent for so long that objects have hibernated.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { begin, LOADS } from "./support/loads.ts";
import { ALIVE, type Receiver, TRANSPORTS } from "./support/receivers.ts";
import { type Served, serve } from "./support/serve.ts";
import { TestClient } from "./support/test-client.ts";

const CHANNEL = "room";

/** Messages under each load. */
const ROUNDS = 10;

/** How long anything may take, in milliseconds: less than the test's own limit, to name what is missing. */
const DEADLINE = 90_000;

let server: Served;
let http: string;
let receivers: { title: string; receiver: Receiver }[];
let member: TestClient;
let page: string;
let announced = 0;

beforeAll(async () => {
  server = await serve({ settings: { HISTORY_BYTES: "100000" } });
  http = server.url.replace(/^ws/, "http");
  receivers = await Promise.all(
    TRANSPORTS.map(async ({ title, receive }) => ({ title, receiver: await receive(server.url, CHANNEL) })),
  );
  member = await TestClient.connect(`${server.url}/other`);
  page = await (await fetch(`${http}/${CHANNEL}`, { headers: { Accept: "text/html" } })).text();
});

afterAll(async () => {
  for (const { receiver } of receivers) receiver.stop();
  member.close();
  await server.end();
});

/** Rejects, naming the part, if it takes too long. */
async function inTime<T>(what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took more than ${DEADLINE / 1_000} s`)), DEADLINE);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/** Announces by each way in turn; resolves when the server has the message. */
async function announce(message: string): Promise<void> {
  if (announced % 2 === 0) {
    member.send(`announce ${CHANNEL} ${message}`);
    expect(await inTime("a ping", member.ping())).toEqual([]);
    return;
  }
  const response = await inTime("a POST", fetch(`${http}/${CHANNEL}`, { method: "POST", body: message }));
  expect({ status: response.status, body: await response.json() }).toMatchObject({ status: 200, body: { count: 1 } });
}

/** Returns the next message that isn't a sign of life. */
async function nextOf(receiver: Receiver): Promise<string> {
  for (;;) {
    const text = await receiver.next();
    if (text !== ALIVE) return text;
  }
}

/** Announces a message, which each bystander must receive next; and uses everything else that has an answer. */
async function exchange(): Promise<void> {
  announced += 1;
  const message = `message ${announced}`;
  await announce(message);
  const received = receivers.map(({ title, receiver }) => inTime(title, nextOf(receiver)));
  expect(await Promise.all(received)).toEqual(receivers.map(() => message));

  // Rarely other data, because a connection may change it only 20 times per second.
  const data = `${Math.floor(announced / 4)}`;
  member.send(`enter ${CHANNEL} ann ${data}`);
  expect(await inTime("entering", member.ping())).toEqual([]);
  const list = await inTime("a list", fetch(`${http}/presence/${CHANNEL}?members`));
  expect(await list.json()).toMatchObject({ count: 1, members: [{ member: "ann", data }] });

  const html = await inTime("the console", fetch(`${http}/${CHANNEL}`, { headers: { Accept: "text/html" } }));
  expect((await html.text()) === page).toBe(true);
}

describe.each(LOADS)("while there are $title ($clients at once),", (load) => {
  test("bystanders exchange messages, and afterwards, too", { timeout: 600_000 }, async () => {
    const stop = await inTime("the load", begin(load, server.url, CHANNEL));
    for (let round = 0; round < ROUNDS; round++) await exchange();
    await inTime("stopping", stop());
    await exchange();
  });
});

test("after a silence in which objects hibernate, bystanders exchange messages", { timeout: 600_000 }, async () => {
  const streams = receivers.filter(({ title }) => title.startsWith("a stream"));
  // A stream tells that it has been silent for 20 seconds.
  const alive = streams.map(({ title, receiver }) => inTime(title, receiver.next()));
  expect(await Promise.all(alive)).toEqual([ALIVE, ALIVE]);
  await exchange();
});
