/**
 * A service of simulated objects and clients, without time and without a network: every call between
 * objects, every timer and every client's next word waits in a list until it is chosen to happen.
 * Calls are late, overtake each other, fail before or after they were carried out, or are carried out
 * long after they failed; objects crash, or leave memory as they do when they hibernate.
 *
 * The objects are the real ones (`src/branch.ts`); the clients check what they read against the
 * promises as they read it.
 */
import { Branch } from "../src/branch.ts";
import type { Socket } from "../src/connections.ts";
import type { Peer, World } from "../src/links.ts";
import { readSettings, type Settings } from "../src/settings.ts";
import { channelOf } from "../src/tree.ts";
import { Breach, clientOf, type SimulatedClient } from "./simulated-client.ts";
import { storeOf } from "./world.ts";

/** Something that can happen next. */
interface Action {
  label: string;
  happen: () => void;
  isFault?: boolean;
}

interface Call {
  label: string;
  to: SimulatedObject;
  /** Carries the call out and keeps its outcome. */
  run: () => void;
  settled: (() => void) | undefined;
  fail: () => void;
  state: "sent" | "done" | "failed";
}

/** Turns of the microtask queue that any chain of promises in the objects needs at most. */
const MICROTASKS = 40;

/** One life of an object: from its waking to its crash or sleep. */
interface Life {
  branch: Branch;
  /** Timers, calls and other work that keep it in memory. */
  work: number;
  over: boolean;
}

export class SimulatedObject {
  readonly name: string;
  readonly rows = new Map<string, unknown>();
  sockets: SimulatedSocket[] = [];
  life: Life | undefined;
  watched = false;
  /** The epoch of its newest link to each object that it has been told of. */
  readonly linked = new Map<string, number>();

  constructor(name: string) {
    this.name = name;
  }
}

/** The server's end of a client's connection. */
export class SimulatedSocket implements Socket {
  readonly bufferedAmount = 0;
  readonly client: SimulatedClient;
  #attachment: unknown;
  open = true;
  /** What its client found wrong, if anything. */
  breach: unknown;

  constructor(client: SimulatedClient) {
    this.client = client;
  }

  send(text: string): void {
    if (!this.open) throw new Error("sent on a closed socket");
    try {
      this.client.read(text);
    } catch (breach) {
      // The objects take what a socket throws for a connection that has gone.
      this.breach ??= breach;
    }
  }

  close(code: number, reason: string): void {
    if (this.open) {
      this.client.closed(code, reason);
      try {
        this.client.checkClosing();
      } catch (breach) {
        this.breach ??= breach;
      }
    }
    this.open = false;
  }

  serializeAttachment(attachment: unknown): void {
    this.#attachment = structuredClone(attachment);
  }

  deserializeAttachment(): unknown {
    return this.#attachment;
  }
}

export class Simulation {
  readonly objects = new Map<string, SimulatedObject>();
  readonly clients: SimulatedClient[] = [];
  /** What has happened, for a person to read. */
  readonly script: string[] = [];
  /** Counts what has happened; serves as the clock. */
  now = 1;
  /** When the last fault was, and the objects that lived through it, awake or asleep. */
  #lastFault = { at: 0, survivors: new Set<string>() };
  readonly #choose: (among: number) => number;
  #calls: Call[] = [];
  readonly #timers: Action[] = [];
  readonly #settings: Settings;

  /**
   * @param choose picks one of `among` things: a number from 0 to `among - 1`
   * @param clientLimit connections of the whole service; 0 has nobody count them
   */
  constructor(choose: (among: number) => number, clientLimit = 0) {
    this.#choose = choose;
    // So few that trees grow and shrink all the time.
    const few = { socketsPerObject: 1 + choose(2), linksPerObject: 1 + choose(2) };
    this.#settings = { ...readSettings({}), ...few, clientLimit };
  }

  /**
   * Lets one thing happen: mostly what is pending anyway, else one of the caller's `wishes`, a fault,
   * or an object leaving memory.
   */
  async step(wishes: Action[], withFaults: boolean): Promise<void> {
    const pending = this.#pending();
    const faults = withFaults ? this.#faults() : [];
    const kinds = [pending, pending, pending, wishes, wishes, this.#sleeps(), faults];
    const kind = kinds[this.#choose(kinds.length)] ?? [];
    const actions = kind.length > 0 ? kind : wishes;
    const action = actions[this.#choose(actions.length)];
    if (action) await this.perform(action);
  }

  /** Has some object crash, or all of them. */
  async crash(): Promise<void> {
    const crashes = this.#crashes();
    const crash = crashes[this.#choose(crashes.length)];
    if (crash) await this.perform(crash);
  }

  async perform({ label, happen, isFault }: Action): Promise<void> {
    this.now += 1;
    this.script.push(label);
    happen();
    if (isFault) this.#noteFault();
    for (let turn = 0; turn < MICROTASKS; turn++) await undefined;
    for (const { socket } of this.clients) if (socket?.breach) throw socket.breach;
  }

  /** Lets everything pending happen, in order, without faults, until nothing is pending. */
  async quiesce(): Promise<void> {
    for (let steps = 0; steps < 5_000; steps++) {
      const [next] = this.#pending();
      if (next) {
        await this.perform(next);
        continue;
      }
      const watched = [...this.objects.values()].find((object) => object.watched);
      if (!watched) return;
      await this.perform({ label: `${watched.name} looks again`, happen: () => this.#alarm(watched) });
    }
    throw new Error("does not come to rest");
  }

  connect(home: string): SimulatedClient {
    const client = clientOf(this, this.clients.length, home);
    this.clients.push(client);
    client.socket = new SimulatedSocket(client);
    client.home = this.#place(home);
    this.#alive(this.object(client.home)).branch.opened(client.socket);
    return client;
  }

  /** The object of a channel's tree in which there is room, as the Worker finds it. */
  #place(root: string): string {
    let full = "";
    for (let object = root; ; ) {
      const place = this.#alive(this.object(object)).branch.placeFor("", full);
      if (place === undefined) return object;
      full = place === "" ? object : "";
      object = place === "" ? root : place;
    }
  }

  /** A frame from a client arrives at its home. */
  arrive(client: SimulatedClient, frame: string): void {
    if (client.socket?.open) this.#alive(this.object(client.home)).branch.received(client.socket, frame);
  }

  /** A client goes away. */
  disconnect(client: SimulatedClient): void {
    const object = this.object(client.home);
    const { socket } = client;
    if (!socket?.open) return;
    socket.open = false;
    client.closed(1005, "");
    this.#alive(object).branch.closed(socket);
    object.sockets = object.sockets.filter((other) => other !== socket);
  }

  /** Whether the root of `all` and the object named `home` both know of a link between them. */
  isLinkedToEveryone(home: string): boolean {
    if (home === "all") return true;
    const { rows, linked } = this.object(home);
    const want = rows.get("want:all");
    if (!isWant(want) || want.epoch !== linked.get(want.parent)) return false;
    if (!isLink(this.object(want.parent).rows.get(`link:${home}`), want.epoch)) return false;
    return want.parent === "all" || this.isLinkedToEveryone(want.parent);
  }

  /** From now on every connection hears `all`, however late its object could join. */
  noteWhoHearsEveryone(): void {
    for (const client of this.clients) {
      if (client.open && this.isLinkedToEveryone(client.home)) client.hearsEveryoneSince ??= this.now;
    }
  }

  /** Checks that both ends of every link agree, and that each is there for a listener. */
  checkLeftovers(): void {
    for (const root of this.objects.values()) {
      for (const [key, row] of root.rows) {
        const [kind, name = ""] = key.split(":");
        if (kind === "link") {
          const want = this.object(name).rows.get(`want:${channelOf(root.name)}`);
          if (!isWant(want) || want.parent !== root.name || !isLink(row, want.epoch)) {
            throw new Breach(`${root.name} keeps a link to ${name} that ${name} does not`);
          }
        }
        // What a crash left in an object that nobody has used since is found when somebody does.
        if (kind === "want" && isWant(row) && root.life) {
          if (!isLink(this.object(row.parent).rows.get(`link:${root.name}`), row.epoch)) {
            throw new Breach(
              `${root.name} counts on a link to ${row.parent} that ${row.parent} does not keep`,
            );
          }
          if (!this.#isHeard(root, name)) throw new Breach(`${root.name} is linked to ${name} for nobody`);
        }
        if (kind === "feed" && JSON.stringify(row).includes("true")) {
          throw new Breach(`${root.name} never came to rest`);
        }
      }
    }
  }

  /**
   * Checks that the root of `all` knows how many connections there are. A crash can leave it with a wrong
   * number until it asks the object, which it does before it refuses others for long.
   */
  async checkCount(): Promise<void> {
    for (const object of this.objects.values()) this.#alive(object).branch.recount();
    await this.quiesce();
    const { rows } = this.object("all");
    for (const { name, sockets } of this.objects.values()) {
      const known = rows.get(`held:${name}`) ?? 0;
      const open = sockets.filter((socket) => socket.open).length;
      if (known !== open) throw new Breach(`${name} has ${open} connections, and 'all' knows of ${known}`);
    }
  }

  #noteFault(): void {
    const alive = [...this.objects.values()].filter(
      ({ life, sockets }) => life || sockets.some(({ open }) => open),
    );
    this.#lastFault = { at: this.now, survivors: new Set(alive.map(({ name }) => name)) };
  }

  /**
   * Whether a client that connected at some time has nothing to do with any fault: all are older.
   * An object that lived through the last one cannot know whether the links that it had then are still
   * good, unless it asked for each newcomer; who is let in on the strength of one may be sent away.
   */
  isUnconcerned({ home, connected }: SimulatedClient, channels: string[]): boolean {
    const { at, survivors } = this.#lastFault;
    if (connected <= at) return false;
    if (!survivors.has(home)) return true;
    const { rows } = this.object(home);
    const wants = channels
      .filter((channel) => channel !== home)
      .map((channel) => rows.get(`want:${channel}`));
    return wants.every((want) => isWant(want) && want.epoch > at);
  }

  #isHeard(home: SimulatedObject, channel: string): boolean {
    const feeds = [...home.rows.keys()].some((key) => key.startsWith("link:"));
    if (feeds && channelOf(home.name) === channel) return true;
    const here = this.clients.filter((client) => client.open && client.home === home.name);
    return channel === "all" ? here.length > 0 : here.some((client) => client.subscribedSince(channel));
  }

  object(name: string): SimulatedObject {
    const known = this.objects.get(name);
    if (known) return known;
    const object = new SimulatedObject(name);
    this.objects.set(name, object);
    return object;
  }

  #alive(object: SimulatedObject): Life {
    if (object.life) return object.life;
    const life: Life = { branch: this.#nobody, work: 0, over: false };
    object.life = life;
    const sockets = {
      acceptWebSocket: (socket: Socket) => {
        if (socket instanceof SimulatedSocket) object.sockets.push(socket);
      },
      getWebSockets: () => object.sockets.filter(({ open }) => open),
    };
    life.branch = new Branch(this.#worldOf(object, life), sockets, this.#settings);
    return life;
  }

  /** Stands in for a branch while that is being made. */
  get #nobody(): Branch {
    return Object.create(Branch.prototype);
  }

  #worldOf(object: SimulatedObject, life: Life): World {
    const after = (milliseconds: number, act: () => void) => {
      life.work += 1;
      this.#timers.push({
        label: `${object.name} after ${milliseconds} ms`,
        happen: () => {
          if (life.over) return;
          life.work -= 1;
          act();
        },
      });
    };
    return {
      name: object.name,
      store: storeOf(object.rows),
      peer: (name) => this.#peer(object, life, name),
      now: () => this.now,
      after,
      turn: () => new Promise((resolve) => after(0, resolve)),
      sleep: (milliseconds) => new Promise((resolve) => after(milliseconds, resolve)),
      keep: (work) => {
        life.work += 1;
        const ended = () => {
          life.work -= 1;
        };
        work.then(ended, ended);
      },
      alarm: (time) => {
        object.watched = time !== undefined;
      },
    };
  }

  #peer(from: SimulatedObject, life: Life, name: string): Peer {
    const call = <T>(label: string, act: (branch: Branch) => T | Promise<T>): Promise<T> => {
      const to = this.object(name);
      return new Promise((resolve, reject) => {
        const entry: Call = {
          label: `${from.name} -> ${name}: ${label}`,
          to,
          state: "sent",
          settled: undefined,
          fail: () => {
            if (!life.over) reject(new Error("the network failed"));
          },
          run: () => {
            const outcome = Promise.resolve(act(this.#alive(to).branch));
            const answer = (value: T) => {
              entry.settled = () => {
                if (!life.over) resolve(value);
              };
            };
            outcome.then(answer, entry.fail);
          },
        };
        this.#calls.push(entry);
      });
    };
    return {
      link: async (request) => {
        const answer = await call(`link ${JSON.stringify(request)}`, (branch) => branch.link(request));
        if ("after" in answer) from.linked.set(name, request.epoch);
        return answer;
      },
      unlink: (request) => call(`unlink ${request.epoch}`, (branch) => branch.unlink(request)),
      deliver: (delivery) =>
        call(`deliver ${JSON.stringify(delivery)}`, (branch) => branch.deliver(delivery)),
      announce: (batch) => call(`announce ${JSON.stringify(batch)}`, (branch) => branch.announce(batch)),
      fill: (child, load, full) => call(`fill ${load} ${full}`, (branch) => branch.fill(child, load, full)),
      claim: (claim) => call(`claim ${JSON.stringify(claim)}`, (branch) => branch.claim(claim)),
      recount: () => call("recount", (branch) => branch.recount()),
      figures: () => call("figures", (branch) => branch.figures()),
      serviceFigures: () => call("service figures", (branch) => branch.serviceFigures()),
    };
  }

  /** What would happen by itself, oldest first. */
  #pending(): Action[] {
    const calls = this.#calls.flatMap((call): Action[] => {
      if (call.state === "done" && call.settled) {
        return [{ label: `answer to ${call.label}`, happen: () => this.#answer(call) }];
      }
      if (call.state === "done") return [];
      return [{ label: call.label, happen: () => this.#carryOut(call) }];
    });
    const timers = this.#timers.map(({ label, happen }, i): Action => {
      const fire = () => {
        this.#timers.splice(i, 1);
        happen();
      };
      return { label, happen: fire };
    });
    return [...calls, ...timers];
  }

  #carryOut(call: Call): void {
    call.run();
    if (call.state === "failed") this.#calls.splice(this.#calls.indexOf(call), 1);
    else call.state = "done";
  }

  #answer(call: Call): void {
    this.#calls.splice(this.#calls.indexOf(call), 1);
    call.settled?.();
  }

  #faults(): Action[] {
    const failures = this.#calls.flatMap((call): Action[] => {
      if (call.state === "failed") return [];
      const forgetAnd = (act: () => void) => {
        this.#calls.splice(this.#calls.indexOf(call), 1);
        act();
      };
      const lose = { label: `lost: ${call.label}`, happen: () => forgetAnd(call.fail), isFault: true };
      const zombie = {
        label: `failed, carried out later: ${call.label}`,
        isFault: true,
        happen: () => {
          call.state = "failed";
          call.fail();
        },
      };
      return call.state === "sent" ? [lose, zombie] : [lose];
    });
    const alarms = this.#awake
      .filter(({ watched }) => watched)
      .map((object) => ({ label: `${object.name} looks again`, happen: () => this.#alarm(object) }));
    return [...failures, ...alarms, ...this.#crashes()];
  }

  get #awake(): SimulatedObject[] {
    return [...this.objects.values()].filter(({ life }) => life);
  }

  #crashes(): Action[] {
    return this.#awake.flatMap((object) => [
      { label: `${object.name} crashes`, happen: () => this.#crash(object), isFault: true },
      { label: "a deploy", happen: () => this.#deploy(), isFault: true },
    ]);
  }

  /** As in the runtime, an object leaves memory only when nothing of it or for it is under way. */
  #sleeps(): Action[] {
    const idle = [...this.objects.values()].filter(
      (object) => object.life?.work === 0 && !this.#calls.some((call) => call.to === object),
    );
    return idle.map((object) => ({ label: `${object.name} sleeps`, happen: () => this.#end(object) }));
  }

  #alarm(object: SimulatedObject): void {
    object.watched = false;
    this.#alive(object).branch.lookAgain();
  }

  #end(object: SimulatedObject): void {
    if (object.life) object.life.over = true;
    object.life = undefined;
  }

  /** Ends every object and every connection; storage stays. */
  #deploy(): void {
    for (const object of this.objects.values()) this.#crash(object);
  }

  #crash(object: SimulatedObject): void {
    this.#end(object);
    // What its callers have given up on dies with it; what is on its way may reach the next life.
    this.#calls = this.#calls.filter((call) => call.to !== object || call.state !== "failed");
    for (const call of this.#calls) {
      if (call.to === object && call.state === "done" && !call.settled) call.settled = call.fail;
    }
    for (const socket of object.sockets) {
      if (!socket.open) continue;
      socket.open = false;
      socket.client.closed(1006, "");
    }
    object.sockets = [];
  }
}

function isWant(row: unknown): row is { parent: string; epoch: number } {
  return typeof row === "object" && row !== null && "parent" in row && "epoch" in row;
}

function isLink(row: unknown, epoch: unknown): boolean {
  return typeof row === "object" && row !== null && "epoch" in row && row.epoch === epoch;
}
