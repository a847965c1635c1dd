/**
 * The home of connections: what the commands of an object's own sockets do, and how messages reach
 * them, whether this object orders them or another one does.
 */
import { Commands, Refusal, type Service } from "./commands.ts";
import { type Connection, Connections, POLICY, type Socket, type Sockets, TRY_AGAIN } from "./connections.ts";
import type { Feed } from "./feed.ts";
import { type Grants, hasEnded, mayAnnounce, maySubscribe } from "./grants.ts";
import { Intake, type Listeners } from "./intake.ts";
import { CallFailed, type Claim, type Delivery, type DeliveryAnswer, type World } from "./links.ts";
import { BUSY, EVERYONE, formatAccepted, GREETING } from "./protocol.ts";
import { Claims } from "./quota.ts";
import { hasTaken } from "./sending.ts";
import type { Settings } from "./settings.ts";
import type { Farewell, Figures, Stats } from "./stats.ts";
import { NoKeys, readToken, TokenError } from "./tokens.ts";
import { channelOf } from "./tree.ts";
import { Overloaded, Uplink } from "./uplink.ts";

/** How long a connection's greeting waits for the root of `all`, in milliseconds. */
const ROOT_GRACE = 2_000;

/** How long a client may take to take its greeting, in milliseconds. */
const GREETING_GRACE = 10_000;

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
  /** Something could not be done now, and is to be tried again later. */
  unfinished(): void;
  /** The grants of a connection end earlier than those of any other did. */
  grantsEnd(): void;
  /** The last socket has gone. */
  emptied(): void;
  /** Where the connections of a child come from. */
  region(): string | undefined;
  /** Makes a claim at the root of `all`. */
  claim(claim: Claim): Promise<number>;
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
  /** Undefined where the number of connections is not limited. */
  readonly #claims: Claims | undefined;
  readonly hasSlept: boolean;
  /** When connections were greeted that are not known to have taken that yet. */
  readonly #greeted = new Map<Connection, number>();
  /** When the first of all connections' grants ends, in milliseconds since 1970. */
  #grantsEndAt: number;

  constructor(house: House) {
    this.#house = house;
    this.#channel = channelOf(house.world.name);
    this.#connections = new Connections(house.sockets, house.settings.maxBufferedBytes, house.flushSoon);
    this.#intake = new Intake(house.world, this);
    this.#uplink = new Uplink(house.world, house.settings.maxBufferedBytes);
    this.#commands = new Commands(this, house.settings);
    this.#grantsEndAt = this.#connections.grantsEndAt;
    // Sockets outlive sleep alone.
    this.hasSlept = this.#connections.size > 0;
    if (house.settings.clientLimit > 0) {
      this.#claims = new Claims(house.world, this.#connections.size, house.claim, house.unfinished);
    }
    this.#intake.leaveUnheard();
  }

  // --- sockets

  /** Takes a new socket in; its greeting says that it is subscribed to this channel and to `all`. */
  opened(socket: Socket, grants: Grants | undefined): Promise<void> {
    const connection = this.#connections.accept(socket, grants);
    if (grants) this.#watchEnd(grants);
    return this.#commands.begin(connection, this.#greet(connection));
  }

  received(socket: Socket, frame: string | ArrayBuffer): Promise<void> | undefined {
    const connection = this.#connections.of(socket);
    if (!connection) return undefined;
    if (!hasEnded(connection.grants, this.now())) return this.#commands.receive(connection, frame);
    this.#closeExpired(connection);
    return undefined;
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
    if (this.#claims) await this.#awhile(this.#admit(connection, this.#claims));
    if (connection.closed) return;
    this.#house.stats.count("connections");
    this.#house.stats.holds(this.#connections.size);
    const joined = this.joinEveryone();
    if (joined) await this.#awhile(joined);
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
      this.#greeted.set(connection, this.now());
    }
  }

  /**
   * Closes connections that do not take their greeting. The runtime does not tell that a client has gone
   * before its request was answered: nothing else would ever end what it has left.
   * @returns whether there are some of which that is not known yet
   */
  closeUnreached(): boolean {
    const reason = "the greeting was not taken; connect again";
    for (const [connection, since] of this.#greeted) {
      if (connection.closed || hasTaken(connection.socket, connection.backlog))
        this.#greeted.delete(connection);
      else if (this.now() - since >= GREETING_GRACE) this.refuse(connection, TRY_AGAIN, reason);
    }
    return this.#greeted.size > 0;
  }

  /** Waits for the root of `all`, but not so long that the service fails with it. */
  #awhile(work: Promise<void>): Promise<void> {
    return Promise.race([work, this.#house.world.sleep(ROOT_GRACE)]);
  }

  /** Lets a connection in, or turns it away if it is one too many. */
  async #admit(connection: Connection, claims: Claims): Promise<void> {
    const admitted = await claims.admit();
    if (connection.closed && admitted) claims.release();
    if (connection.closed) return;
    connection.admitted = admitted;
    if (admitted) return;
    this.tell(connection, BUSY);
    this.refuse(connection, TRY_AGAIN, "the service has as many connections as it may; try again later");
  }

  /** Tells the root of `all` how many connections there are. */
  recount(): void {
    this.#claims?.recount();
  }

  /** When the first of all connections' grants ends, in milliseconds since 1970; infinite if none does. */
  get grantsEndAt(): number {
    return this.#grantsEndAt;
  }

  /** Closes the connections whose grants have ended. */
  closeExpired(): void {
    for (const connection of this.#connections.expired(this.now())) this.#closeExpired(connection);
    this.#grantsEndAt = this.#connections.grantsEndAt;
  }

  #closeExpired(connection: Connection): void {
    this.refuse(connection, POLICY, "your token has expired; connect again with a new one");
  }

  #watchEnd({ until }: Grants): void {
    if (until >= this.#grantsEndAt) return;
    this.#grantsEndAt = until;
    this.#house.grantsEnd();
  }

  /** Closes a connection, or forgets a closed one, and ends what was only there for it. */
  #depart(connection: Connection, end: () => void): void {
    const channels = [...connection.channels];
    end();
    this.#house.stats.count("unsubscribes", channels.length);
    for (const channel of channels) this.#leaveIfUnheard(channel);
    this.#leaveIfUnheard(EVERYONE);
    if (connection.admitted) this.#claims?.release();
    if (this.#connections.size > 0) return;
    this.#grantsEndAt = Number.POSITIVE_INFINITY;
    this.#house.emptied();
  }

  // --- what commands do

  subscribe(connection: Connection, channel: string): Promise<void> | undefined {
    if (!maySubscribe(connection.grants, channel)) {
      throw new Refusal("cannot subscribe: your token does not allow this channel");
    }
    const live = this.isLive(channel);
    // Subscribed and not live is what `all` can be, while its object does not answer.
    if (connection.channels.has(channel)) return live ? undefined : this.#joinAndAdd(connection, channel);
    const { maxChannelsPerConnection } = this.#house.settings;
    if (connection.channels.size >= maxChannelsPerConnection) {
      throw new Refusal(`cannot subscribe: a connection has at most ${maxChannelsPerConnection} channels`);
    }
    if (!this.#connections.hasRoomFor([...connection.channels, channel], connection.grants)) {
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

  announce({ grants }: Connection, channel: string, lines: string, count: number): Promise<void> | undefined {
    if (!mayAnnounce(grants, channel)) {
      throw new Refusal("cannot announce: your token does not allow this channel");
    }
    if (!this.#isLocal(channel)) return this.#announceAfar(channel, lines, count);
    this.#house.stats.count("announcements", count);
    this.place(lines, count);
    return undefined;
  }

  async renew(connection: Connection, token: string): Promise<void> {
    const grants = await this.#granted(token);
    if (connection.closed) return;
    const heard = [...connection.channels].find((channel) => !maySubscribe(grants, channel));
    if (heard !== undefined) {
      throw new Refusal(`cannot renew: the token does not allow '${heard}', to which you are subscribed`);
    }
    if (!this.#connections.hasRoomFor(connection.channels, grants)) {
      throw new Refusal(
        "cannot renew: the names of this connection's channels and grants are too long together",
      );
    }
    this.#connections.grant(connection, grants);
    this.#watchEnd(grants);
    this.tell(connection, formatAccepted(grants.until));
  }

  async #granted(token: string): Promise<Grants> {
    const { tokens } = this.#house.settings;
    if (!tokens) throw new Refusal("no token is needed here");
    try {
      return await readToken(token, tokens);
    } catch (error) {
      if (error instanceof TokenError) throw new Refusal(`the token is not good: ${error.message}`);
      if (error instanceof NoKeys) throw new Refusal(`cannot check the token: ${error.message}; try again`);
      throw error;
    }
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
      const why = isOverload(error) ? "is overloaded" : "does not answer";
      throw new Refusal(`an announcement may be lost: its channel's object ${why}`);
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

  /** Has this object make sure of its link to `channel`, as somebody is about to rely on it. */
  doubt(channel: string, vouched: number | undefined): void {
    this.#intake.doubt(channel, vouched);
  }

  placeOf(channel: string): number | undefined {
    return channel === this.#channel ? this.#house.feed.place : undefined;
  }

  /** An object that was linked to this one is not any more. */
  linkEnded(): void {
    this.#leaveIfUnheard(this.#channel);
  }

  /** Gives messages their places in the order of this object's own channel, and sends them out. */
  place(lines: string, count: number): number {
    const { feed, world, flushSoon } = this.#house;
    const place = feed.append(lines, count);
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
    const joined = this.#intake.join(EVERYONE).catch(() => this.#house.unfinished());
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
    if (channel === this.#channel) this.#house.feed.forgetPlace();
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

function isOverload(error: unknown): boolean {
  return error instanceof CallFailed && error.why === "overloaded";
}
