/** An isolate of the Worker: the real code, with time, randomness, sockets and objects of a simulated world. */
import { grantsFault } from "../../../src/auth/grants.ts";
import type { Calls } from "../../../src/runtime/calls.ts";
import { CallFailed } from "../../../src/runtime/runtime.ts";
import { leave } from "../object.ts";
import type { Objects } from "../objects.ts";
import { Violation } from "../violation.ts";
import type { NewIsolate, UpgradeResponse, WorkerCode } from "./bundle.ts";
import type { Clock } from "./clock.ts";
import type { Goal } from "./coverage.ts";
import { crypto } from "./crypto.ts";
import { Line } from "./line.ts";

/** What isolates share. */
export interface Platform {
  readonly clock: Clock;
  readonly objects: Objects;
  readonly variables: Record<string, string>;
  readonly lines: Line[];
  choose(among: number): number;
  record(what: string): void;
  /** Notes a rare event. */
  cover(goal: Goal): void;
  /** Notes what must not happen. */
  violates(violation: Error): void;
}

/** A response, which may accept a WebSocket. */
class WorkerResponse extends Response implements UpgradeResponse {
  readonly webSocket: unknown;

  constructor(body: ConstructorParameters<typeof Response>[0], init: ResponseInit & { webSocket?: unknown } = {}) {
    // Other runtimes reject the status 101.
    super(body, init.status === 101 ? { ...init, status: 200 } : init);
    this.webSocket = init.webSocket ?? null;
  }
}

/** The Worker's end of a connection to an object. */
export class WorkerSocket {
  readonly line: Line;
  readonly #listeners = new Map<string, (event: object) => void>();

  constructor(line: Line) {
    this.line = line;
  }

  addEventListener(kind: string, listener: (event: object) => void): void {
    this.#listeners.set(kind, listener);
  }

  accept(): void {
    this.line.peer = {
      frame: (data) => this.#listeners.get("message")?.({ data }),
      closed: (code, reason) => this.#listeners.get("close")?.({ code, reason }),
    };
  }

  send(text: string): void {
    this.line.send(text);
  }

  close(): void {
    this.line.close();
  }
}

export class Isolate {
  readonly name: string;
  isOver = false;
  readonly #platform: Platform;
  readonly code: WorkerCode;
  readonly #env: object;
  /** Its connections to objects. */
  readonly #sockets = new Set<WorkerSocket>();
  /** Called when it ends. */
  readonly onEnd = new Set<() => void>();

  constructor(name: string, platform: Platform, create: NewIsolate) {
    this.name = name;
    this.#platform = platform;
    this.#env = { ...platform.variables, CHANNEL: { getByName: (object: string) => this.#stub(object) } };
    this.code = create(this.#globals());
  }

  handle(request: Request): Promise<UpgradeResponse> {
    return this.code.handle(request, this.#env);
  }

  /** Ends it: what it has in memory is gone, and so are its connections. */
  end(): void {
    this.isOver = true;
    this.#platform.clock.cancelAll(this);
    for (const { line } of this.#sockets) line.close();
    for (const act of [...this.onEnd]) act();
  }

  /** The number of connections to objects that it holds, for streams and polls. */
  get connections(): number {
    return [...this.#sockets].filter(({ line }) => line.open && line.peer).length;
  }

  /** Lets a connection go to a client, which then holds it instead. */
  release(socket: WorkerSocket): void {
    this.#sockets.delete(socket);
  }

  #globals(): Record<string, unknown> {
    const { clock, choose, record, violates } = this.#platform;
    const date = new Proxy(Date, {
      construct: (real, words, derived) => Reflect.construct(real, words.length > 0 ? words : [clock.now], derived),
      get: (real, name) => (name === "now" ? () => clock.now : Reflect.get(real, name)),
    });
    const setTimeout = (act: () => void, milliseconds = 0) =>
      clock.later(this, `a timer of ${this.name} after ${milliseconds} ms`, Math.max(0, milliseconds), act);
    const random = { value: () => choose(1_000) / 1_000 };
    const note = (line: unknown) => {
      record(`${this.name} logs ${line}`);
      if (String(line).includes('"failures.request"')) violates(new Violation(`${this.name} failed: ${line}`));
    };
    return {
      Date: date,
      Math: Object.create(Math, { random }),
      Response: WorkerResponse,
      setTimeout,
      clearTimeout: (cancel?: () => void) => cancel?.(),
      cloudflare: { waitUntil: () => {}, env: {} },
      console: { log: note, warn: note, error: note },
      crypto,
      fetch: () => Promise.reject(new Error("this Worker has no network")),
    };
  }

  #stub(object: string) {
    return {
      call: <Kind extends keyof Calls>(kind: Kind, ask: Calls[Kind]["request"], hop: number) => {
        if (hop !== 2) this.#platform.violates(new Violation(`${this.name} calls ${object} at ${hop} hops`));
        return this.#whileAlive(this.#platform.objects.askFromWorker(object, kind, ask));
      },
      fetch: (_: string, { headers }: { headers: Headers }) => this.#whileAlive(this.#connect(object, headers)),
    };
  }

  /** Passes on the outcome of a call as the platform does, unless this isolate has ended. */
  #whileAlive<T>(answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      answer.then(
        (value) => this.isOver || resolve(value),
        (error: unknown) => this.isOver || reject(platformError(error)),
      );
    });
  }

  /** Offers a connection to an object, as `durable-object/channel.ts` accepts it. */
  async #connect(object: string, headers: Headers): Promise<Response> {
    const { objects, lines } = this.#platform;
    const { parseUpgrade, formatRedirect, formatRefused, formatAccepted } = this.code;
    const { region, full, below, grants, from, subprotocol } = parseUpgrade(headers);
    const line = new Line(`line ${lines.length}`, object, this.#platform);
    lines.push(line);
    let response: UpgradeResponse | undefined;
    let isLost = false;
    const accept = async () => {
      const broker = objects.event(object, 2);
      const { incarnation } = objects.of(object);
      const redirect = broker.placementFor(region, full, below);
      if (grantsFault(grants, incarnation?.guard?.keys)) {
        response = formatRefused({ code: "unavailable", why: "the settings of the server are changing" });
      } else if (redirect) response = formatRedirect(redirect);
      else {
        broker.opened(line.socket, region, grants, from);
        response = formatAccepted(new WorkerSocket(line), subprotocol);
      }
      if (isLost) line.close();
      if (incarnation) await new Promise<void>((resolve) => leave(incarnation, resolve));
    };
    const between = { from: this.name, to: object, isNested: false };
    const label = `${this.name} connects ${line.name} to ${object} ${JSON.stringify([from, full, below])}`;
    try {
      await objects.network.call(label, between, accept, () => false);
    } catch (error) {
      isLost = true;
      if (response) line.close();
      throw error;
    }
    if (!response) throw new Error("the object answered without a response");
    const { webSocket } = response;
    if (this.isOver) line.close();
    else if (webSocket instanceof WorkerSocket) this.#sockets.add(webSocket);
    else line.close();
    return response;
  }
}

/** Returns an error with the flags by which the platform classifies it. */
function platformError(error: unknown): Error {
  if (!(error instanceof CallFailed)) return new Error(String(error));
  if (error.why === "not made") return new Error("Subrequest depth limit exceeded");
  const flag = error.why === "overloaded" ? "overloaded" : "remote";
  return Object.assign(new Error(String(error.cause)), { [flag]: true });
}
