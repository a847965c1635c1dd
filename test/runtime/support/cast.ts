/** Some connections around one channel, and what tests have them do. */
import { beforeAll, expect } from "vitest";
import { Client } from "./client.ts";
import { evictAll, unique } from "./service.ts";

/** Connections around one channel, none of which hears `all` for now. */
export interface Cast {
  /** The channel, and the object that is its root. */
  room: string;
  /** An object linked to it. */
  home: string;
  /** At home in the root. */
  local: Client;
  /** Subscribed to the channel from its own home. */
  far: Client;
  /** In the same home, but unsubscribed from the channel again. */
  idle: Client;
  /** At home in the root of `all`. */
  lobby: Client;
}

/**
 * Gathers casts before the tests of a file: all at once, because an object with a new connection is
 * slow to come to rest, and they are at rest when the tests begin.
 * @returns what gives each test a cast that no other has
 */
export function gather(count: number): () => Cast {
  const casts: Cast[] = [];
  beforeAll(async () => {
    casts.push(...(await Promise.all(Array.from({ length: count }, gatherOne))));
    await evictAll();
  }, 30_000);
  return () => {
    const cast = casts.pop();
    if (!cast) throw new Error("more casts are needed than were gathered");
    return cast;
  };
}

async function gatherOne(): Promise<Cast> {
  const room = unique("room");
  const home = unique("home");
  const [local, far, idle, lobby] = await Promise.all([
    Client.connect(room),
    Client.connect(home),
    Client.connect(home),
    Client.connect(),
  ]);
  far.send(`subscribe ${room}`);
  idle.send(`subscribe ${room}\nunsubscribe ${room}`);
  await sendAll([local, far, idle, lobby], "unsubscribe all");
  return { room, home, local, far, idle, lobby };
}

/** Has each of `clients` send `commands`, which bring them nothing to read. */
export async function sendAll(clients: Client[], commands: string): Promise<void> {
  for (const client of clients) client.send(commands);
  for (const client of clients) expect(await client.ping()).toEqual([]);
}

let announced = 0;

/**
 * Has `who` announce the next number on `channel`. It must be the next line that each of `hearers`
 * reads, so a line too many or too few before it shows.
 */
export async function say(who: Client, channel: string, ...hearers: Client[]): Promise<void> {
  announced += 1;
  who.send(`announce ${channel} ${announced}`);
  const line = `${channel}!${announced}`;
  expect(await Promise.all(hearers.map((hearer) => hearer.line()))).toEqual(hearers.map(() => line));
}

/** Shows that nothing more comes to `clients`: an eviction waits for all that an object still has to do. */
export async function expectNoMore(...clients: Client[]): Promise<void> {
  await evictAll();
  for (const client of clients) expect(await client.ping()).toEqual([]);
}
