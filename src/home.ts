/**
 * The home of connections: what the commands of an object's own sockets do, and how messages reach
 * them, whether this object orders them or another one does.
 */
import { Commands, Refusal, type Service } from "./commands.ts";
import { type Connection, Connections, type Socket, type Sockets, TRY_AGAIN } from "./connections.ts";
import type { Feed } from "./feed.ts";
import { Intake, type Listeners } from "./intake.ts";
import type { Delivery, DeliveryAnswer, World } from "./links.ts";
import { EVERYONE, GREETING } from "./protocol.ts";
import type { Settings } from "./settings.ts";
import type { Farewell, Figures, Stats } from "./stats.ts";
import { channelOf } from "./tree.ts";
import { Overloaded, Uplink } from "./uplink.ts";

/** How long a connection's greeting waits for this object's link to `all`, in milliseconds. */
const JOIN_GRACE = 2_000;

/** What a home needs from the object that it is part of. */
export interface House {
  world: World;
  sockets: Sockets;
  settings: Settings;
  stats: Stats;
  /** The order of the object's own channel. */
  feed: Feed;
  /** Something has been gathered, so that a flush is due. */
  flushSoon(): void;
  /** The last socket has gone. */
  emptied(): void;
  /** Where the connections of a child come from. */
  region(): string | undefined;
  /** The lines that answer `info`. */
  info(): Promise<string>;
}

export class Home implements Listeners, Service {
  readonly #house: House;
  /** The channel whose root this object is, or a child of it. */
  readonly #channel: string;
  readonly #connections: Connections;
  readonly #intake: Intake;
  readonly #uplink: Uplink;
  readonly #commands: Commands;

  constructor(house: House) {
    this.#house = house;
    this.#channel = channelOf(house.world.name);
    this.#connections = new Connections(house.sockets, house.settings.maxBufferedBytes, house.flushSoon);
    this.#intake = new Intake(house.world, this);
    this.#uplink = new Uplink(house.world, house.settings.maxBufferedBytes);
    this.#commands = new Commands(this, house.settings);
    this.#intake.leaveUnheard();
  }

  // --- sockets

  /** Takes a new socket in; its greeting says that it is subscribed to this channel and to `all`. */
  opened(socket: Socket): Promise<void> {
    const connection = this.#connections.accept(socket);
    this.#house.stats.count("connections");
    this.#house.stats.holds(this.#connections.size);
    return this.#commands.begin(connection, this.#greet(connection));
  }

  received(socket: Socket, frame: string | ArrayBuffer): Promise<void> | undefined {
    const connection = this.#connections.of(socket);
    return connection && this.#commands.receive(connection, frame);
  }

  /** Forgets a socket that has closed. */
  closed(socket: Socket): void {
    const connection = this.#connections.of(socket);
    if (connection) this.#depart(connection, () => this.#connections.remove(connection));
  }

  /** How many sockets there are. */
  get size(): number {
    return this.#connections.size;
  }

  /** Characters that a flush would send, counted once. */
  get gathered(): number {
    return this.#connections.gathered;
  }

  /** How many sockets a flush would send to. */
  get due(): number {
    return this.#connections.due;
  }

  /** Sends what has been gathered, and closes who does not take it: nobody else is to wait or pay for that. */
  flush(): void {
    const reason = "messages would be missing: you read too slowly; connect again";
    for (const connection of this.#connections.flush()) {
      this.#depart(connection, () => this.#connections.close(connection, TRY_AGAIN, reason));
    }
  }

  async #greet(connection: Connection): Promise<void> {
    const joined = this.joinEveryone();
    if (joined) await Promise.race([joined, this.#house.world.sleep(JOIN_GRACE)]);
    try {
      while (!connection.closed && !this.isLive(this.#channel)) await this.join(this.#channel);
    } catch {
      const reason = "the channel's object does not answer; connect again";
      this.#depart(connection, () => this.#connections.close(connection, TRY_AGAIN, reason));
      return;
    }
    if (connection.closed) this.#leaveIfUnheard(this.#channel);
    else {
      for (const channel of new Set([EVERYONE, this.#channel])) this.#add(connection, channel);
      this.tell(connection, GREETING);
    }
  }

  /** Closes a connection, or forgets a closed one, and ends what was only there for it. */
  #depart(connection: Connection, end: () => void): void {
    const channels = [...connection.channels];
    end();
    this.#house.stats.count("unsubscribes", channels.length);
    for (const channel of channels) this.#leaveIfUnheard(channel);
    this.#leaveIfUnheard(EVERYONE);
    if (this.#connections.size === 0) this.#house.emptied();
  }

  // --- what commands do

  subscribe(connection: Connection, channel: string): Promise<void> | undefined {
    const live = this.isLive(channel);
    // Subscribed and not live is what `all` can be, while its object does not answer.
    if (connection.channels.has(channel)) return live ? undefined : this.#joinAndAdd(connection, channel);
    const { maxChannelsPerConnection } = this.#house.settings;
    if (connection.channels.size >= maxChannelsPerConnection) {
      throw new Refusal(`cannot subscribe: a connection has at most ${maxChannelsPerConnection} channels`);
    }
    if (!this.#connections.hasRoomFor(connection, channel)) {
      throw new Refusal("cannot subscribe: the names of this connection's channels are too long together");
    }
    if (!live) return this.#joinAndAdd(connection, channel);
    this.#add(connection, channel);
    return undefined;
  }

  unsubscribe(connection: Connection, channel: string): void {
    if (!connection.channels.has(channel)) return;
    this.#connections.unsubscribe(connection, channel);
    this.#house.stats.count("unsubscribes");
    this.#leaveIfUnheard(channel);
  }

  announce(channel: string, lines: string, count: number): Promise<void> | undefined {
    if (!this.#isLocal(channel)) return this.#announceAfar(channel, lines, count);
    this.#house.stats.count("announcements", count);
    this.place(lines, count);
    return undefined;
  }

  info(): Promise<string> {
    return this.#house.info().catch(() => {
      throw new Refusal("info is not to be had now: the object that adds it up does not answer");
    });
  }

  pinged(): void {
    this.#house.stats.count("pings");
  }

  tell(connection: Connection, line: string): void {
    this.#connections.tell(connection, line);
  }

  refuse(connection: Connection, code: number, reason: string): void {
    this.#depart(connection, () => this.#connections.close(connection, code, reason));
  }

  now(): number {
    return this.#house.world.now();
  }

  async #joinAndAdd(connection: Connection, channel: string): Promise<void> {
    try {
      while (!this.isLive(channel)) await this.join(channel);
    } catch {
      throw new Refusal("cannot subscribe: the channel's object does not answer; try again");
    }
    if (connection.closed) this.#leaveIfUnheard(channel);
    else this.#add(connection, channel);
  }

  async #announceAfar(channel: string, lines: string, count: number): Promise<void> {
    try {
      const place = await this.#uplink.announce(channel, lines, count);
      this.#house.stats.count("announcements", count);
      await this.#intake.reached(channel, place);
    } catch (error) {
      if (error instanceof Overloaded) throw new Refusal(`cannot announce: ${error.message}; try again`);
      throw new Refusal("an announcement may be lost: its channel's object does not answer");
    }
  }

  #add(connection: Connection, channel: string): void {
    if (connection.channels.has(channel)) return;
    this.#connections.subscribe(connection, channel);
    this.#house.stats.count("subscribes");
  }

  // --- messages

  /** Whether messages of `channel` reach this object. */
  isLive(channel: string): boolean {
    return this.#isLocal(channel) || this.#intake.isLinked(channel);
  }

  /**
   * Links this object to `channel`. Whoever waits has to look whether that still holds when it goes on:
   * someone else who waited for the same link may have ended it by leaving.
   * @throws Unreachable if that is not to be had
   */
  join(channel: string): Promise<void> {
    return this.#intake.join(channel);
  }

  /** An object that was linked to this one is not any more. */
  linkEnded(): void {
    this.#leaveIfUnheard(this.#channel);
  }

  /** Gives messages their places in the order of this object's own channel, and sends them out. */
  place(lines: string, count: number): number {
    const { feed, world, flushSoon } = this.#house;
    const place = feed.place(lines, count);
    this.#publish(world.name, lines, count);
    flushSoon();
    return place;
  }

  deliver(delivery: Delivery): DeliveryAnswer {
    return this.#intake.deliver(delivery);
  }

  listens(channel: string): boolean {
    if (channel === this.#channel && this.#house.feed.size > 0) return true;
    // Every object with sockets is linked to `all`, so that the root of `all` knows of it.
    if (channel === EVERYONE) return this.#connections.size > 0;
    return this.#connections.subscribers(channel) > 0;
  }
  hear(channel: string, lines: string, count: number, after: number): void {
    if (channel === this.#channel && !this.#isLocal(channel)) {
      this.#house.feed.relay(lines, count, after);
      this.#house.flushSoon();
    }
    this.#publish(channel, lines, count);
  }

  #publish(channel: string, lines: string, count: number): void {
    this.#connections.publish(channel, lines);
    this.#house.stats.count("messages", count * this.#connections.subscribers(channel));
  }

  lose(channel: string): void {
    const reason = "messages may be missing; connect again";
    for (const connection of this.#connections.subscribersOf(channel)) {
      this.#depart(connection, () => this.#connections.close(connection, TRY_AGAIN, reason));
    }
    if (channel === this.#channel) this.#house.feed.loseAll();
    if (channel === EVERYONE) this.joinEveryone();
  }

  /** Whether every socket here can hear `all`. */
  get hearsEveryone(): boolean {
    return this.#isLocal(EVERYONE) || !this.listens(EVERYONE) || this.#intake.isLinked(EVERYONE);
  }

  /** Links this object to `all` if its sockets need that; undefined if they do not. */
  joinEveryone(): Promise<void> | undefined {
    if (this.hearsEveryone) return undefined;
    const joined = this.#intake.join(EVERYONE).catch(() => this.#house.world.watch());
    this.#house.world.keep(joined);
    return joined;
  }

  #isLocal(channel: string): boolean {
    return channel === this.#house.world.name;
  }

  #leaveIfUnheard(channel: string): void {
    if (!this.#isLocal(channel) && !this.listens(channel)) this.#intake.leave(channel);
  }

  // --- figures

  ended(channel: string, epoch: number): void {
    if (channel === EVERYONE) this.#house.stats.end(epoch);
  }

  farewell(channel: string): Farewell | undefined {
    return channel === EVERYONE ? this.#house.stats.farewell : undefined;
  }

  farewellKept(channel: string, farewell: Farewell): void {
    if (channel === EVERYONE) this.#house.stats.farewellKept(farewell);
  }

  get region(): string | undefined {
    return this.#house.region();
  }

  linked(channel: string, epoch: number, after: number): void {
    if (channel === this.#channel) this.#house.feed.begin(after);
    if (channel === EVERYONE) this.#house.stats.begin(epoch);
  }

  figures(): Figures {
    const connections = this.#connections;
    return {
      ...this.#house.stats.figures(connections.size),
      connections: connections.size,
      subscriptions: connections.subscriptions,
      requested: connections.subscriptions - connections.subscribers(EVERYONE),
      channels: [...connections.channels],
      objects: connections.size > 0 ? 1 : 0,
      unreachable: 0,
    };
  }
}
