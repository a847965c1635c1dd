/** The client library against a world that does its worst: see `test/README.md`. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Breach, type Pending, SimulatedEnvironment, settle } from "./environment.ts";
import { Network } from "./network.ts";
import { Program } from "./program.ts";
import { Server } from "./server.ts";

/** `RUNS=20` has each property tried so many times as often. */
const TIMES = Number(process.env.RUNS ?? 1);
/** `SEED=… REPLAY=…` has one failure happen again: the seed and the path that it printed. */
const replay = process.env.REPLAY && {
  seed: Number(process.env.SEED),
  path: process.env.REPLAY,
  endOnFailure: true,
};

interface Kind {
  /** Whether WebSockets get through, or there are none at all. */
  way: "sockets" | "blocked" | "none";
  tokens: "none" | "static" | "good" | "troubled";
  /** Whether the server takes only short lines, small frames and few lines per second. */
  isNarrow: boolean;
  /** How far the client's calendar is ahead, in hours. */
  skew: number;
  withFaults: boolean;
}

/** How long everything may take to come to rest, in milliseconds. */
const LONG = 900_000;

/** Gets tokens as a program's function does: late, sometimes never, and sometimes bad ones. */
function tokenOf(environment: SimulatedEnvironment, kind: Kind, isCalm: () => boolean) {
  const mint = (lifetime: number, name = "good") => {
    const iat = Math.floor(environment.date / 1_000);
    const payload = Buffer.from(JSON.stringify({ iat, exp: iat + lifetime })).toString("base64url");
    return `${name}.${payload}.signature`;
  };
  if (kind.tokens === "none") return undefined;
  if (kind.tokens === "static") return mint(1_000_000);
  return () => {
    const fate = kind.tokens === "good" || isCalm() ? 0 : environment.choose(8);
    if (fate === 1) throw new Error("no token now");
    if (fate === 2) return new Promise<string>(() => {});
    if (fate === 3) return mint(-20);
    if (fate === 4) return mint(1_000, "forged");
    const token = mint(20 + environment.choose(2_000));
    if (environment.choose(2) === 0) return token;
    const queue: Pending[] = [];
    return new Promise<string>((resolve) =>
      environment.enqueue(queue, { label: "a token", happen: () => resolve(token) }),
    );
  };
}

class Run {
  readonly environment: SimulatedEnvironment;
  readonly server: Server;
  readonly network: Network;
  readonly program: Program;
  readonly #kind: Kind;
  #isCalm = false;
  #ticks = 0;

  constructor(choose: (among: number) => number, kind: Kind) {
    this.#kind = kind;
    this.environment = new SimulatedEnvironment(choose);
    this.environment.skew = kind.skew * 3_600_000;
    const narrow = { maxLineBytes: 400, maxFrameBytes: 1_500, linesPerSecond: 6, retained: 8 };
    const wide = { maxLineBytes: 65_536, maxFrameBytes: 4_000_000, linesPerSecond: 10_000, retained: 60 };
    const needsTokens = kind.tokens !== "none";
    this.server = new Server(this.environment, { ...(kind.isNarrow ? narrow : wide), needsTokens });
    this.network = new Network(this.environment, this.server);
    this.network.isBlocked = kind.way === "blocked";
    this.network.withFaults = this.server.fails = kind.withFaults;
    const { WebSocket, fetch, loadRequests } = this.network;
    const clientEnvironment = this.environment.forClient(
      kind.way === "none" ? undefined : WebSocket,
      fetch,
      loadRequests,
    );
    this.program = new Program(this.environment, this.server, clientEnvironment, {
      token: tokenOf(this.environment, kind, () => this.#isCalm),
    });
  }

  async step(): Promise<void> {
    const { environment, program, network } = this;
    const due = environment.due();
    const timer = environment.nextTimer;
    const timers = timer ? [{ label: "time passes", happen: () => this.#fire() }] : [];
    const others = [
      { label: "others announce", happen: () => void this.#announceElsewhere() },
      ...(this.#kind.withFaults ? network.faults() : []),
      ...[...environment.looks].map((look) => ({ label: "a wake-up", happen: () => this.#wake(look) })),
    ];
    const wishes = program.wishes();
    const groups = [due, due, due, timers, wishes, others].filter((group) => group.length > 0);
    const group = groups[environment.choose(groups.length)] ?? [];
    const picked = group[environment.choose(group.length)];
    if (picked) await this.#happen(picked);
  }

  #wake(look: () => void): void {
    this.program.wakeUps += 1;
    look();
  }

  #announceElsewhere(): void {
    const channel = ["a", "b", "all", "fleeting"][this.environment.choose(4)] ?? "a";
    this.server.announce(channel, `other ${this.server.places.size}`, undefined);
  }

  #fire(): void {
    const timer = this.environment.nextTimer;
    const tick = this.#ticks + 20_000;
    // The server has a timer of its own.
    if (timer && timer.due < tick) this.environment.fire(timer);
    else {
      this.#ticks = this.environment.now = tick;
      this.network.tick();
    }
    this.server.expire();
  }

  async #happen({ label, happen }: Pending): Promise<void> {
    this.environment.note(label.slice(0, 150));
    happen();
    await settle();
    if (this.program.breach) throw this.program.breach;
  }

  /** Nothing fails any more: everything that is pending happens, until nothing more is to be expected. */
  async rest(isDone: () => boolean): Promise<void> {
    const end = this.environment.now + LONG;
    for (let steps = 0; steps < 30_000; steps++) {
      const [first] = this.environment.due();
      if (first) await this.#happen(first);
      else if (isDone()) return;
      else if (this.environment.now > end || !this.environment.nextTimer) break;
      else await this.#happen({ label: "time passes", happen: () => this.#fire() });
    }
    if (!isDone()) this.program.check(this.mayFail);
    if (!isDone()) throw new Breach("it never comes to rest");
  }

  get mayFail(): boolean {
    return this.program.client.state === "failed" || this.program.states.includes("failed");
  }

  heal(): void {
    this.#isCalm = true;
    this.network.withFaults = this.server.fails = false;
    this.environment.note("all faults end");
  }

  isSettled(): boolean {
    try {
      this.program.check(this.mayFail);
      return true;
    } catch (error) {
      if (error === this.program.breach) throw error;
      return false;
    }
  }

  async close(): Promise<void> {
    const { program, network, environment } = this;
    program.close();
    await settle();
    await this.rest(() => program.isClosed);
    network.isClosed = true;
    if (environment.timers.size > 0) throw new Breach("a closed client has timers");
    if (environment.looks.size > 0) throw new Breach("a closed client waits for wake-ups");
    await settle();
    if (program.client.state !== "closed") throw new Breach("it isn't closed");
  }

  /** Attempts are no more than backoff and wake-ups allow. */
  checkAttempts(): void {
    const { attempts } = this.network;
    const reconnects = this.environment.script.filter((line) =>
      line.endsWith("disconnect and connect"),
    ).length;
    const most = 5 + this.environment.now / 500 + this.program.wakeUps + reconnects * 2;
    if (attempts.length > most) throw new Breach(`${attempts.length} attempts in ${this.environment.now} ms`);
  }
}

async function play(choices: number[], kind: Kind): Promise<void> {
  let i = 0;
  const run = new Run((among) => (choices[i++] ?? 0) % among, kind);
  try {
    while (i < choices.length) await run.step();
    run.heal();
    await run.rest(() => run.isSettled());
    run.checkAttempts();
    await run.close();
    for (const { gaps, count } of run.program.readers) met(kind, gaps, count);
  } catch (error) {
    throw new Error(`${error}\n\nWhat happened:\n${run.environment.script.join("\n")}`, { cause: error });
  }
}

/** How much was met in all runs: else they prove nothing. */
const seen = { messages: 0, gaps: 0 };

function met(_: Kind, gaps: number, count: number): void {
  seen.gaps += gaps;
  seen.messages += count;
}

const choices = fc.array(fc.nat(), { minLength: 10, maxLength: 400, size: "max" });
const timeout = Math.max(60_000, 120_000 * TIMES);

async function tryOut(runs: number, kinds: fc.Arbitrary<Kind>): Promise<void> {
  const property = fc.asyncProperty(choices, kinds, play);
  const limit = { interruptAfterTimeLimit: timeout - 30_000, markInterruptAsFailure: false };
  await fc.assert(property, { numRuns: Math.ceil(runs * TIMES), ...limit, ...replay });
  expect(seen.messages).toBeGreaterThan(0);
}

const skew = fc.constantFrom(0, 0, 3, -3, 20_000);

test("without faults nothing is missing, late or twice", { timeout }, async () => {
  await tryOut(
    500,
    fc.record({
      way: fc.constantFrom("sockets", "sockets", "none"),
      tokens: fc.constantFrom("none", "static", "good"),
      isNarrow: fc.constant(false),
      skew,
      withFaults: fc.constant(false),
    }),
  );
});

test("whatever breaks, every message is received once and in order, or is in a gap", {
  timeout,
}, async () => {
  await tryOut(
    1_500,
    fc.record({
      way: fc.constantFrom("sockets", "sockets", "blocked", "none"),
      tokens: fc.constantFrom("none", "static", "good", "troubled"),
      isNarrow: fc.boolean(),
      skew,
      withFaults: fc.constant(true),
    }),
  );
});
