/**
 * Members that lose their connections and come back, or not, and watchers that hold a map of them. A log judges: a member
 * may be announced to leave only as often as it has left, or was away for longer than the grace period.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { isTemporary } from "../../../src/protocol/errors.ts";
import { listMembers, type Member, parseChange, presenceOf } from "../../../src/protocol/members.ts";
import { parseReply } from "../../../src/protocol/replies.ts";
import type { Dice } from "./dice.ts";
import { TestClient } from "./test-client.ts";

/** How much earlier than its client the server may notice the end of a connection, in milliseconds. */
const TOLERANCE = 1_000;
/** How long after a fault connections still end because of it, in milliseconds. */
const AFTERMATH = 20_000;
/** Maximum delay before a client repeats what has failed, in milliseconds. */
const PAUSE = 300;

/** The server under test, and what all clients have found out. */
export class PresenceSoak {
  /** Returns the server's current URL. */
  readonly url: () => string;
  /** The grace period, in milliseconds. */
  readonly grace: number;
  /** When the newest fault of the server ended connections, in milliseconds since 1970. */
  faultAt = 0;
  /** Violated guarantees; must stay empty. */
  readonly faults: string[] = [];
  /** How often members came back within the grace period, and later. */
  readonly returns = { inTime: 0, late: 0 };
  /** Commands carried out, and those refused. */
  readonly commands = { enter: 0, leave: 0, refused: 0 };
  /** Connections of watchers that resumed. */
  resumed = 0;
  /** Changes by position, for each channel. */
  readonly #changes = new Map<string, Map<number, string>>();

  constructor(url: () => string, grace: number) {
    this.url = url;
    this.grace = grace;
  }

  /** Notes a change that a watcher has received. */
  found(channel: string, position: number, change: string): void {
    const changes = this.#changes.get(channel) ?? new Map<number, string>();
    this.#changes.set(channel, changes);
    const known = changes.get(position) ?? change;
    if (known !== change) this.faults.push(`${channel} ${position} is both '${known}' and '${change}'`);
    changes.set(position, known);
  }

  /** Returns how often each member of a channel was announced to leave. */
  leavesIn(channel: string): Map<string, number> {
    const leaves = new Map<string, number>();
    for (const message of this.#changes.get(channel)?.values() ?? []) {
      const change = parseChange(message);
      if (change?.kind === "leave") leaves.set(change.member, (leaves.get(change.member) ?? 0) + 1);
    }
    return leaves;
  }

  /** The number of changes announced on all channels. */
  get changes(): number {
    return [...this.#changes.values()].reduce((sum, { size }) => sum + size, 0);
  }

  /** When a connection ended that its client didn't end itself: at the latest fault, if that is recent. */
  endOf(noticedAt: number): number {
    return noticedAt - this.faultAt < AFTERMATH ? this.faultAt : noticedAt - TOLERANCE;
  }
}

/** What a client may know of one member: whether it is present, and how often it may have been announced to leave. */
export class MemberTruth {
  readonly channel: string;
  readonly name: string;
  /** Its newest data; undefined while it isn't a member, or won't come back. */
  data: string | undefined;
  mayLeave = 0;
  readonly #soak: PresenceSoak;
  readonly #connections = new Set<object>();
  /** When its last connection ended, in milliseconds since 1970; undefined if it has one, or isn't a member. */
  #awaySince: number | undefined;

  constructor(soak: PresenceSoak, channel: string, name: string) {
    this.#soak = soak;
    this.channel = channel;
    this.name = name;
  }

  get isPresent(): boolean {
    return this.#connections.size > 0;
  }

  entered(connection: object, data: string): void {
    if (this.#connections.size === 0 && this.#awaySince !== undefined) {
      const isLate = this.#isLate(Date.now());
      this.#soak.returns[isLate ? "late" : "inTime"] += 1;
      if (isLate) this.mayLeave += 1;
    }
    this.#awaySince = undefined;
    this.#connections.add(connection);
    this.data = data;
  }

  /** Notes the end of a connection, which may have entered even if no reply has said so. */
  ended(connection: object, at: number): void {
    const wasLast = this.#connections.delete(connection) && this.#connections.size === 0;
    if (this.#connections.size > 0) return;
    if (!wasLast && this.#awaySince !== undefined && this.#isLate(at)) this.mayLeave += 1;
    this.#awaySince ??= at;
  }

  /** Notes that it is about to leave. */
  leaves(): void {
    this.mayLeave += 1;
  }

  left(connection: object): void {
    this.#connections.delete(connection);
    this.#awaySince = undefined;
    this.data = undefined;
  }

  /** Notes that it won't come back. */
  gone(): void {
    this.mayLeave += 1;
    this.data = undefined;
  }

  #isLate(now: number): boolean {
    return this.#awaySince !== undefined && now - this.#awaySince > this.#soak.grace;
  }
}

/** One connection of a member, which is made again and again. */
export class Seat {
  readonly truth: MemberTruth;
  readonly #soak: PresenceSoak;
  readonly #dice: Dice;
  /** Draws pauses, of which there are more when the server is slow. */
  readonly #pauses: Dice;
  readonly #home: string;
  readonly #isAlone: boolean;
  readonly #stopped = Promise.withResolvers<void>();
  #connection: TestClient | undefined;
  /** Whether the server may hold it for entered by this connection. */
  #mayBeIn = false;
  #isOver = false;

  /** @param isAlone whether it is the member's only one, which may change its data, leave, and stay away */
  constructor(soak: PresenceSoak, truth: MemberTruth, dice: Dice, home: string, isAlone: boolean) {
    this.#soak = soak;
    this.truth = truth;
    this.#dice = dice;
    this.#pauses = dice.split();
    this.#home = home;
    this.#isAlone = isAlone;
  }

  /** Enters, and comes back after each end of its connection, until it is stopped or goes for good. */
  async run(): Promise<void> {
    let data = "new";
    await this.#wait(this.#dice.below(5_000));
    while (!this.#isOver) {
      const [stay, decision, isSoon] = [
        this.#dice.between(5_000, 40_000),
        this.#dice.below(1),
        this.#dice.below(1) < 0.7,
      ];
      const away = this.#dice.below(this.#soak.grace * (isSoon ? 0.5 : 2));
      const connection = await this.#enterAnew(data);
      if (!connection) return;
      await Promise.race([this.#wait(stay), connection.closed]);
      if (this.#isOver) return;
      if (this.#isAlone && !connection.closing) data = await this.#act(connection, decision, data);
      this.cut();
      await this.#wait(away);
    }
  }

  /** Changes the member's data, leaves, or goes for good, or nothing; returns the data. */
  async #act(connection: TestClient, decision: number, data: string): Promise<string> {
    if (decision < 0.25) {
      const changed = `data ${Math.floor(decision * 1_000_000)}`;
      await this.#enter(connection, changed);
      return changed;
    }
    if (decision < 0.4) await this.#leave(connection);
    else if (decision < 0.45) {
      this.cut();
      this.truth.gone();
      this.stop();
    }
    return data;
  }

  /** Ends `run`; an open connection stays. */
  stop(): void {
    this.#isOver = true;
    this.#stopped.resolve();
  }

  /** After `run`, enters once more. */
  async comeBack(data: string): Promise<void> {
    this.#isOver = false;
    await this.#enterAnew(data);
  }

  /** Ends its connection. */
  cut(): void {
    const connection = this.#connection;
    if (!connection) return;
    this.#connection = undefined;
    const at = connection.closing ? this.#soak.endOf(Date.now()) : Date.now();
    if (this.#mayBeIn) this.truth.ended(connection, at);
    this.#mayBeIn = false;
    connection.close();
  }

  /** Connects and enters, until that succeeds; undefined if it is stopped before. */
  async #enterAnew(data: string): Promise<TestClient | undefined> {
    while (!this.#isOver) {
      const connection = await this.#connect();
      if (connection && (await this.#enter(connection, data))) return connection;
      await this.#wait(this.#pauses.below(PAUSE));
    }
    return undefined;
  }

  /** Resolves after a time, or when it is stopped. */
  async #wait(milliseconds: number): Promise<void> {
    await Promise.race([sleep(milliseconds, undefined, { ref: false }), this.#stopped.promise]);
  }

  async #connect(): Promise<TestClient | undefined> {
    this.cut();
    try {
      const connection = await TestClient.connect(`${this.#soak.url()}/${this.#home}`);
      this.#connection = connection;
      void connection.closed.then(() => {
        if (this.#connection === connection) this.cut();
      });
      return connection;
    } catch {
      return undefined;
    }
  }

  /** Enters, again if that fails for a while; returns whether that was carried out. */
  async #enter(connection: TestClient, data: string): Promise<boolean> {
    this.#mayBeIn = true;
    const isDone = await this.#carryOut(connection, `enter ${this.truth.channel} ${this.truth.name} ${data}`);
    if (isDone) {
      this.truth.entered(connection, data);
      this.#soak.commands.enter += 1;
    }
    return isDone;
  }

  async #leave(connection: TestClient): Promise<void> {
    this.truth.leaves();
    if (!(await this.#carryOut(connection, `leave ${this.truth.channel}`))) return;
    this.#mayBeIn = false;
    this.truth.left(connection);
    this.#soak.commands.leave += 1;
  }

  /** Repeats a command while its errors are temporary; returns false if the connection ends before that. */
  async #carryOut(connection: TestClient, command: string): Promise<boolean> {
    try {
      for (;;) {
        connection.send(`${command}\n`);
        const lines = await connection.ping();
        if (connection.closing || this.#connection !== connection) return false;
        if (lines.length === 0) return true;
        this.#soak.commands.refused += 1;
        for (const line of lines) {
          const reply = parseReply(line);
          const isExpected = reply.kind === "error" && (isTemporary(reply.code) || reply.code === "uncertain");
          if (!isExpected) this.#soak.faults.push(`${this.truth.name} read '${line}' after '${command}'`);
        }
        await sleep(this.#pauses.below(PAUSE));
      }
    } catch {
      return false;
    }
  }
}

/** A client that holds a map of a channel's members. */
export class Watcher {
  readonly channel: string;
  readonly members = new Map<string, string>();
  readonly #soak: PresenceSoak;
  readonly #name: string;
  readonly #home: string;
  readonly #dice: Dice;
  #position: number | undefined;
  /** Whether this connection delivers changes from the position on. */
  #isLive = false;
  #connection: TestClient | undefined;
  #isOver = false;
  #onChange = () => {};

  /** @param dice draws its pauses */
  constructor(soak: PresenceSoak, name: string, channel: string, home: string, dice: Dice) {
    this.#soak = soak;
    this.#name = name;
    this.channel = channel;
    this.#home = home;
    this.#dice = dice;
  }

  /** Connects, and reconnects until it is stopped. */
  async run(): Promise<void> {
    while (!this.#isOver) {
      try {
        await this.#connectOnce();
      } catch {
        // Its connection has ended.
      }
      await sleep(this.#dice.below(PAUSE));
    }
  }

  /** Breaks its connection. */
  cut(): void {
    this.#connection?.close();
  }

  stop(): void {
    this.#isOver = true;
    this.cut();
  }

  /** Resolves when its members are those. */
  async reach(members: Member[]): Promise<void> {
    const expected = JSON.stringify(members);
    await new Promise<void>((resolve) => {
      this.#onChange = () => {
        if (this.#isLive && JSON.stringify(listMembers(this.members)) === expected) resolve();
      };
      this.#onChange();
    });
  }

  async #connectOnce(): Promise<void> {
    this.#isLive = false;
    const connection = await TestClient.connect(`${this.#soak.url()}/${this.#home}`);
    this.#connection = connection;
    if (this.#position === undefined) await this.#list(connection);
    else this.#soak.resumed += 1;
    const subscribe = () => connection.send(`subscribe ${presenceOf(this.channel)} since ${this.#position}\n`);
    subscribe();
    for (;;) {
      const line = await connection.line();
      const reply = parseReply(line);
      if (reply.kind === "message" && this.#isLive) this.#receive(reply.message);
      else if (reply.kind === "position") this.#resumeAt(reply.position);
      else if (reply.kind === "error" && isTemporary(reply.code)) {
        await sleep(this.#dice.below(PAUSE));
        subscribe();
      } else this.#fault(`read '${line}'`);
    }
  }

  /** Reads the list of members, with its position. */
  async #list(connection: TestClient): Promise<void> {
    for (;;) {
      connection.send(`members ${this.channel}\n`);
      const [head = "", ...lines] = await connection.ping();
      const reply = parseReply(head);
      if (reply.kind === "error" && isTemporary(reply.code)) continue;
      if (reply.kind !== "members") return this.#fault(`read '${head}' instead of a list`);
      for (const line of lines) {
        const member = parseReply(line);
        if (member.kind !== "member") return this.#fault(`read '${line}' in a list`);
        this.members.set(member.member, member.data);
      }
      if (this.members.size !== reply.count) this.#fault(`read ${this.members.size} of ${reply.count} members`);
      this.#position = reply.position;
      return;
    }
  }

  #resumeAt(position: number): void {
    if (position !== this.#position) this.#fault(`was at ${this.#position}, but resumed at ${position}`);
    this.#position = position;
    this.#isLive = true;
    this.#onChange();
  }

  #receive(message: string): void {
    if (this.#position === undefined) return;
    this.#position += 1;
    this.#soak.found(this.channel, this.#position, message);
    const change = parseChange(message);
    const isPresent = change !== undefined && this.members.has(change.member);
    if (!change || isPresent !== (change.kind !== "enter")) {
      this.#fault(`received '${message}' at ${this.#position}, but the member is ${isPresent ? "" : "not "}there`);
    } else if (change.kind === "leave") this.members.delete(change.member);
    else this.members.set(change.member, change.data);
    this.#onChange();
  }

  #fault(what: string): void {
    this.#soak.faults.push(`${this.#name}, watching ${this.channel}, ${what}`);
  }
}
