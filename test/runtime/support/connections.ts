/** Sets of connections around one channel, and common steps with them. */

import { beforeAll, expect } from "vitest";
import { notGranted } from "../../../src/protocol/refusals.ts";
import { Client } from "./client.ts";
import { evictAll, unique } from "./service.ts";

/** Connections around one channel, all unsubscribed from `all`. */
export interface Connections {
  /** The channel, and the name of its root. */
  room: string;
  /** The name of an object that links to the root. */
  home: string;
  /** Connected at the root. */
  local: Client;
  /** Connected at `home`, and subscribed to the channel. */
  remote: Client;
  /** Connected at `home`, and unsubscribed from the channel again. */
  idle: Client;
  /** Connected at the root of `all`. */
  lobby: Client;
}

/**
 * Opens sets of connections before the tests of a file: all at once, because an object with a new connection takes long
 * to become idle, and these are idle when the tests begin.
 * @returns a function that gives each test its own set
 */
export function gather(count: number): () => Connections {
  const sets: Connections[] = [];
  beforeAll(async () => {
    sets.push(...(await Promise.all(Array.from({ length: count }, gatherOne))));
    await evictAll();
  }, 30_000);
  return () => {
    const connections = sets.pop();
    if (!connections) throw new Error("gather more sets of connections");
    return connections;
  };
}

async function gatherOne(): Promise<Connections> {
  const room = unique("room");
  const home = unique("home");
  const [local, remote, idle, lobby] = await Promise.all([
    Client.connect(room),
    Client.connect(home),
    Client.connect(home),
    Client.connect(),
  ]);
  remote.send(`subscribe ${room}`);
  idle.send(`subscribe ${room}\nunsubscribe ${room}`);
  await sendAll([local, remote, idle, lobby], "unsubscribe all");
  return { room, home, local, remote, idle, lobby };
}

/** Sends commands without replies from each client, and waits until they have taken effect. */
export async function sendAll(clients: Client[], commands: string): Promise<void> {
  for (const client of clients) client.send(commands);
  for (const client of clients) expect(await client.ping()).toEqual([]);
}

let announced = 0;

/**
 * Announces the next number on `channel`, and expects it to be the next line of each subscriber, so that missing and
 * unexpected lines before it show as well.
 */
export async function expectDelivery(who: Client, channel: string, ...subscribers: Client[]): Promise<void> {
  announced += 1;
  who.send(`announce ${channel} ${announced}`);
  const line = `${channel}!${announced}`;
  expect(await Promise.all(subscribers.map((subscriber) => subscriber.line()))).toEqual(subscribers.map(() => line));
}

/** Expects that no more lines are delivered; evicting an object waits for everything that it has to do. */
export async function expectNoMore(...clients: Client[]): Promise<void> {
  await evictAll();
  for (const client of clients) expect(await client.ping()).toEqual([]);
}

/** Returns the refusal of a command on a channel that the token doesn't grant. */
const refusalOf = (command: "subscribe" | "announce") => (channel: string) =>
  `debug!error forbidden ${command} ${channel}: ${notGranted(command, channel)}`;

export const noSubscription = refusalOf("subscribe");
export const noAnnouncement = refusalOf("announce");
