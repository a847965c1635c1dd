/** Simulates the client library with failures of the network, the server and the runtime: see `test/README.md`. */
import fc from "fast-check";
import { propertiesOf } from "../runs.ts";
import { Breach, type Pending, SimulatedEnvironment, settle } from "./environment.ts";
import { Network } from "./network.ts";
import { Program } from "./program.ts";
import { Server, Session } from "./server.ts";

interface Scenario {
  /** Whether WebSockets work, are blocked by the network, or don't exist in the runtime. */
  transport: "sockets" | "blocked" | "none";
  tokens: "none" | "static" | "good" | "troubled";
  /** Whether the server allows only short lines, small frames and few lines per second. */
  hasLowLimits: boolean;
  /** The client's clock skew, in hours. */
  skew: number;
  withFaults: boolean;
}

/** The timeout for the simulation to settle after faults have ended, in milliseconds. */
const SETTLE_TIMEOUT = 900_000;

/** Returns a function that makes numbered tokens. @param lifetime in seconds */
function mintIn(environment: SimulatedEnvironment) {
  let count = 0;
  return {
    count: () => count,
    mint: (lifetime: number, name = "good") => {
      count += 1;
      const iat = Math.floor(environment.date / 1_000);
      const payload = Buffer.from(JSON.stringify({ iat, exp: iat + lifetime, number: count })).toString("base64url");
      return `${name}.${payload}.signature`;
    },
  };
}

/** Returns a token function that is sometimes late, never returns, throws, or returns invalid tokens. */
function tokenSource(
  environment: SimulatedEnvironment,
  mint: (lifetime: number, name?: string) => string,
  scenario: Scenario,
  isCalm: () => boolean,
  checkMayAsk: () => void,
) {
  if (scenario.tokens === "static") return mint(1_000_000);
  return () => {
    checkMayAsk();
    const outcome = scenario.tokens === "good" || isCalm() ? 0 : environment.choose(8);
    if (outcome === 1) throw new Error("no token now");
    if (outcome === 2) return new Promise<string>(() => {});
    if (outcome === 3) return mint(-20);
    if (outcome === 4) return mint(1_000, "forged");
    const token = mint(20 + environment.choose(2_000));
    if (environment.choose(2) === 0) return token;
    const queue: Pending[] = [];
    return new Promise<string>((resolve) =>
      environment.enqueue(queue, { label: "a token", run: () => resolve(token) }),
    );
  };
}

class Run {
  readonly environment: SimulatedEnvironment;
  readonly server: Server;
  readonly network: Network;
  readonly program: Program;
  readonly #scenario: Scenario;
  readonly #minting: ReturnType<typeof mintIn>;
  #tokensSet = 0;
  #isCalm = false;
  #ticks = 0;

  constructor(choose: (among: number) => number, scenario: Scenario) {
    this.#scenario = scenario;
    this.environment = new SimulatedEnvironment(choose);
    this.environment.skew = scenario.skew * 3_600_000;
    const lowLimits = { maxLineBytes: 400, maxFrameBytes: 1_500, linesPerSecond: 6, retained: 8 };
    const highLimits = {
      maxLineBytes: 65_536,
      maxFrameBytes: 4_000_000,
      linesPerSecond: 10_000,
      retained: 60,
    };
    const needsTokens = scenario.tokens !== "none";
    this.server = new Server(this.environment, {
      ...(scenario.hasLowLimits ? lowLimits : highLimits),
      needsTokens,
    });
    this.network = new Network(this.environment, this.server);
    this.network.isBlocked = scenario.transport === "blocked";
    this.network.withFaults = this.server.fails = scenario.withFaults;
    const { WebSocket, fetch, loadRequests } = this.network;
    const clientEnvironment = this.environment.forClient(
      scenario.transport === "none" ? undefined : WebSocket,
      fetch,
      loadRequests,
    );
    this.#minting = mintIn(this.environment);
    const token = needsTokens ? this.#newToken() : undefined;
    this.program = new Program(this.environment, this.server, clientEnvironment, { token });
  }

  async step(): Promise<void> {
    const { environment, program, network } = this;
    const due = environment.due();
    const timer = environment.nextTimer;
    const timers = timer ? [{ label: "time passes", run: () => this.#fire() }] : [];
    const otherEvents = [
      { label: "another client announces", run: () => void this.#announceElsewhere() },
      { label: "another client enters or leaves", run: () => this.#changeElsewhere() },
      { label: "other clients enter and leave", run: () => this.#times(12, () => this.#changeElsewhere()) },
      ...(this.#scenario.withFaults ? [...network.faults(), this.#guarding(), ...this.#revoking()] : []),
      ...[...environment.wakers].map((wake) => ({ label: "a wake-up", run: () => this.#wake(wake) })),
    ];
    const actions = program.actions();
    const tokens = program.isRevoked ? [{ label: "the program sets a new token", run: () => this.#setToken() }] : [];
    const groups = [due, due, due, timers, actions, otherEvents, tokens].filter((group) => group.length > 0);
    const group = groups[environment.choose(groups.length)] ?? [];
    const picked = group[environment.choose(group.length)];
    if (picked) await this.#run(picked);
  }

  #newToken() {
    return tokenSource(
      this.environment,
      this.#minting.mint,
      this.#scenario,
      () => this.#isCalm,
      () => {
        if (this.program.isRevoked) this.program.breach ??= new Breach("a revoked client asks for a token");
      },
    );
  }

  #setToken(): void {
    this.#tokensSet += 1;
    this.network.isRevoked = false;
    this.program.setToken(this.#newToken());
  }

  /** Returns events that revoke and replace tokens. */
  #revoking(): Pending[] {
    if (!this.server.settings.needsTokens) return [];
    const revoke = () => this.server.revoke(this.#minting.count());
    return [
      { label: "all tokens are revoked", run: revoke },
      { label: "the program sets a new token", run: () => this.#setToken() },
    ];
  }

  #wake(wake: () => void): void {
    this.program.wakeUps += 1;
    wake();
  }

  #announceElsewhere(): void {
    const channel = ["a", "b", "all", "fleeting"][this.environment.choose(4)] ?? "a";
    this.server.announce(channel, `other ${this.server.announced.size}`, undefined);
  }

  /** Returns a change of what tokens grant. */
  #guarding(): Pending {
    const isGuarding = !this.server.isGuarding;
    const run = () => {
      this.server.isGuarding = isGuarding;
    };
    return { label: `tokens ${isGuarding ? "no longer " : ""}grant to enter a channel`, run };
  }

  /** Connections of other clients. */
  readonly #others = [0, 1, 2].map(
    () =>
      new Session(
        () => {},
        () => {},
        0,
      ),
  );

  #times(count: number, act: () => void): void {
    for (let i = 0; i < count; i++) act();
  }

  #changeElsewhere(): void {
    const { choose } = this.environment;
    const session = this.#others[choose(3)];
    const channel = choose(2) ? "a" : "b";
    const member = ["ann", "bob", "carl", "me"][choose(4)] ?? "ann";
    if (!session) return;
    const what = choose(6);
    if (what === 0) this.server.leave(session, channel);
    else if (what === 1) this.server.drop(session);
    else this.server.enter(session, channel, { member, data: `x${choose(3)}` });
  }

  #fire(): void {
    const timer = this.environment.nextTimer;
    const tick = this.#ticks + 20_000;
    // The server's timer ticks every 20 seconds.
    if (timer && timer.due < tick) this.environment.fire(timer);
    else {
      this.#ticks = this.environment.now = tick;
      this.network.tick();
    }
    this.server.expire();
  }

  async #run({ label, run }: Pending): Promise<void> {
    this.environment.record(label.slice(0, 150));
    run();
    await settle();
    this.network.isRevoked = this.program.isRevoked;
    if (this.#isCalm) this.#recover();
    if (this.program.breach) throw this.program.breach;
  }

  /** Runs all pending events without faults, until done or nothing more can happen. */
  async settleAll(isDone: () => boolean): Promise<void> {
    const end = this.environment.now + SETTLE_TIMEOUT;
    for (let steps = 0; steps < 30_000; steps++) {
      const [first] = this.environment.due();
      if (first) await this.#run(first);
      else if (isDone()) return;
      else if (this.environment.now > end || !this.environment.nextTimer) break;
      else await this.#run({ label: "time passes", run: () => this.#fire() });
    }
    if (!isDone()) this.program.check(this.mayFail);
    if (!isDone()) throw new Breach("the simulation doesn't settle");
  }

  get mayFail(): boolean {
    return this.program.hasFailed;
  }

  async endFaults(): Promise<void> {
    this.#isCalm = true;
    this.network.withFaults = this.server.fails = false;
    this.environment.record("all faults end");
    this.#recover();
    await settle();
  }

  /** Sets a new token if the client's was revoked. */
  #recover(): void {
    if (this.program.isRevoked && !this.program.isClosing) this.#setToken();
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
    await this.settleAll(() => program.isClosed);
    network.isClosed = true;
    if (environment.timers.size > 0) throw new Breach("a closed client has timers");
    if (environment.wakers.size > 0) throw new Breach("a closed client has wake-up listeners");
    await settle();
    if (program.client.state !== "closed") throw new Breach("the client isn't closed");
  }

  /** Checks the number of attempts against backoff and wake-ups. */
  checkAttempts(): void {
    const { attempts } = this.network;
    const reconnects = this.environment.log.filter((line) => line.endsWith("disconnect and connect")).length;
    const most = 5 + this.environment.now / 500 + this.program.wakeUps + (reconnects + this.#tokensSet) * 2;
    if (attempts.length > most) throw new Breach(`${attempts.length} attempts in ${this.environment.now} ms`);
  }
}

async function play(choices: number[], scenario: Scenario): Promise<Goal[]> {
  let i = 0;
  const run = new Run((among) => (choices[i++] ?? 0) % among, scenario);
  try {
    while (i < choices.length) await run.step();
    await run.endFaults();
    await run.settleAll(() => run.isSettled());
    run.checkAttempts();
    await run.close();
    return goalsOf(run);
  } catch (error) {
    throw new Error(`${error}\n\nWhat happened:\n${run.environment.log.join("\n")}`, { cause: error });
  }
}

/** Events that the runs exist for. */
type Goal = "a message" | "a gap" | "a change" | "an entry" | "a revocation";

function goalsOf({ program, server }: Run): Goal[] {
  const { readers, watchers, revocations } = program;
  return [
    ...(readers.some(({ count }) => count > 0) ? (["a message"] as const) : []),
    ...(readers.some(({ gaps }) => gaps > 0) ? (["a gap"] as const) : []),
    ...(watchers.some(({ changes }) => changes > 0) ? (["a change"] as const) : []),
    ...(server.entries.length > 0 ? (["an entry"] as const) : []),
    ...(revocations > 0 ? (["a revocation"] as const) : []),
  ];
}

const skew = fc.constantFrom(0, 0, 3, -3, 20_000);

const property = propertiesOf<Scenario, Goal>(play);

property("without faults no message is missing, late or duplicated", {
  tags: ["client-once"],
  runs: 500,
  scenarios: fc.record({
    transport: fc.constantFrom("sockets", "sockets", "none"),
    tokens: fc.constantFrom("none", "static", "good"),
    hasLowLimits: fc.constant(false),
    skew,
    withFaults: fc.constant(false),
  }),
  goals: ["a message", "a change", "an entry"],
});

property("despite faults, every message is received once and in order, or is in a gap", {
  tags: ["resume-exact", "client-once", "client-retries", "client-enters-again", "client-members"],
  runs: 1_000,
  scenarios: fc.record({
    transport: fc.constantFrom("sockets", "sockets", "blocked", "none"),
    tokens: fc.constantFrom("none", "static", "good", "troubled"),
    hasLowLimits: fc.boolean(),
    skew,
    withFaults: fc.constant(true),
  }),
  goals: ["a message", "a gap", "a change", "an entry", "a revocation"],
});
