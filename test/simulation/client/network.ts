/** A network between one client and the server, which delays, breaks, stalls and refuses connections by chance. */

import { RequestSocket } from "../../../src/client/requests.ts";
import type { FetchLike, ResponseLike, WebSocketConstructor } from "../../../src/client/types.ts";
import { parseFrom } from "../../../src/protocol/positions.ts";
import { Breach, type Pending, type SimulatedEnvironment } from "./environment.ts";
import { FLEETING, nameOf, SECRET, type Server, Session } from "./server.ts";

/** How servers, proxies and networks end connections. */
const CLOSINGS: [code: number, reason: string][] = [
  [1000, ""],
  [1001, ""],
  [1006, ""],
  [1006, ""],
  [1008, ""],
  [1008, "limit: too many commands are pending"],
  [1009, ""],
  [1011, "unexpected condition"],
  [1012, ""],
  [1013, "unavailable: messages may be missing"],
  [4999, "unknown"],
];

/** Most members in a page of a list. */
const PAGE = 2;

export class Network {
  readonly #environment: SimulatedEnvironment;
  readonly #server: Server;
  /** Whether faults may happen. */
  withFaults = true;
  /** Whether WebSockets are blocked. */
  isBlocked = false;
  /** Functions that break the open connections and streams. */
  readonly #breaks = new Set<(ending: [code: number, reason: string]) => void>();
  /** The times of connection attempts. */
  readonly attempts: number[] = [];
  isClosed = false;
  /** Whether the client knows that its token was revoked. */
  isRevoked = false;

  constructor(environment: SimulatedEnvironment, server: Server) {
    this.#environment = environment;
    this.#server = server;
  }

  /** Returns the faults that can happen now. */
  faults(): Pending[] {
    return [...this.#breaks].map((cut) => ({
      label: "a connection breaks",
      run: () => {
        const ending = CLOSINGS[this.#environment.choose(CLOSINGS.length)];
        if (ending) cut(ending);
      },
    }));
  }

  #chance(among: number): boolean {
    return this.withFaults && this.#environment.choose(among) === 1;
  }

  #checkMayTry(what: string): void {
    if (this.isClosed) throw new Breach(`a closed client ${what}`);
    if (this.isRevoked) throw new Breach(`a client whose token was revoked ${what}`);
  }

  #attempt(): void {
    this.#checkMayTry("connects");
    this.attempts.push(this.#environment.now);
  }

  // --- WebSockets

  get WebSocket(): WebSocketConstructor {
    const connect = (url: string, protocols: string[], socket: FakeSocket) => this.#connect(url, protocols, socket);
    return class extends FakeSocket {
      constructor(url: string, protocols: string[]) {
        super();
        connect(url, protocols, this);
      }
    };
  }

  #connect(url: string, [, token]: string[], socket: FakeSocket) {
    this.#attempt();
    const environment = this.#environment;
    const { pathname, searchParams } = new URL(url);
    const channel = decodeURIComponent(pathname.slice(1)) || "all";
    const from = parseFrom(searchParams.get("since"), searchParams.get("last"));
    if (from && "why" in from) throw new Breach(`the client connects at ${url}`);
    const up: Pending[] = [];
    const down: Pending[] = [];
    const queues = { up, down };
    let isStalled = this.#chance(10);
    const end = (code: number, reason: string) => {
      this.#breaks.delete(breaks);
      if (!socket.isOver)
        environment.enqueue(queues.down, {
          label: `closed ${code} ${reason}`,
          run: () => socket.end(code, reason),
        });
    };
    const session = new Session((lines) => this.#deliver(socket, queues.down, lines), end, environment.now);
    const cut = ([code, reason]: [code: number, reason: string]) => {
      this.#server.drop(session);
      queues.up.length = 0;
      // Some of the frames in transit are still delivered.
      queues.down.length = Math.min(queues.down.length, environment.choose(4));
      end(code, reason);
    };
    const stall = () => {
      cut([1006, ""]);
      queues.down.pop();
      isStalled = true;
    };
    const breaks = (ending: [code: number, reason: string]) => (environment.choose(4) === 0 ? stall() : cut(ending));
    this.#breaks.add(breaks);
    socket.onSend = (frame) => {
      if (!isStalled)
        environment.enqueue(queues.up, {
          label: `> ${frame}`,
          run: () => this.#server.receive(session, frame),
        });
    };
    socket.onClose = () => {
      this.#breaks.delete(breaks);
      queues.up.length = queues.down.length = 0;
      this.#server.drop(session);
    };
    if (isStalled) return;
    const isRefused = this.isBlocked || this.#chance(6) || this.#server.fault(token) || nameOf(channel) === SECRET;
    if (isRefused) return end(1006, "");
    environment.enqueue(queues.up, {
      label: `connects at ${channel}`,
      run: () => {
        this.#server.begin(session, token);
        session.send("debug!connected...\n");
        if (from) this.#resume(session, channel, from);
        else session.channels.add(channel);
      },
    });
  }

  #resume(session: Session, channel: string, from: { since: number | "now" } | { last: number }): void {
    // Every connection is subscribed to `all`; the address of `all` adds a position.
    session.channels.delete(channel);
    this.#server.resume(session, channel, from, (code, why) =>
      session.send(`debug!error ${code} subscribe ${channel}: ${why}\n`),
    );
  }

  /** Delivers lines in frames that are split anywhere. */
  #deliver(socket: Pick<FakeSocket, "receive">, down: Pending[], lines: string): void {
    for (let rest = lines; rest !== ""; ) {
      const at = Math.max(1, rest.length - Math.max(0, this.#environment.choose(2 * rest.length) - rest.length));
      const frame = rest.slice(0, at);
      rest = rest.slice(at);
      this.#environment.enqueue(down, { label: `< ${frame}`, run: () => socket.receive(frame) });
    }
  }

  // --- requests

  /** Loads requests.ts, which may fail or never finish, like any other file. */
  readonly loadRequests = async () => {
    if (this.#chance(8)) return new Promise<never>(() => {});
    if (this.#chance(8)) throw new TypeError("the module can't be fetched");
    return { RequestSocket };
  };

  readonly fetch: FetchLike = (url, init) => {
    const environment = this.#environment;
    this.#checkMayTry(`requests ${url}`);
    const { pathname, search } = new URL(url);
    const isStream = init.method === "GET" && !pathname.startsWith("/-/") && !/[?&](poll|members)\b/.test(search);
    return new Promise((resolve, reject) => {
      const queue: Pending[] = [];
      init.signal.addEventListener("abort", () => {
        queue.length = 0;
        reject(new Error("aborted"));
      });
      if (this.#chance(12)) return;
      const isLost = this.#chance(8);
      const answer = () => {
        if (isLost && environment.choose(2) === 0) return reject(new TypeError("fetch failed"));
        const response = isStream ? this.#stream(url, init) : this.#respond(url, init);
        // The server may have handled the request though its response is lost.
        if (isLost) reject(new TypeError("fetch failed"));
        else resolve(response);
      };
      environment.enqueue(queue, { label: `${init.method} ${url}`, run: answer });
    });
  };

  #respond(url: string, { method, headers, body = "" }: Parameters<FetchLike>[1]): ResponseLike {
    const failure = this.#failure();
    if (failure) return failure;
    const { pathname, searchParams } = new URL(url);
    if (pathname === "/-/health") return respond(200, undefined, "ok\n");
    const fault = this.#server.fault(headers.Authorization?.slice("Bearer ".length));
    if (fault) return respond(fault.status, fault.code, fault.why);
    if (pathname === "/-/info") return respond(200, undefined, '{"channels": 3}');
    const channel = decodeURIComponent(pathname.slice(1));
    if (nameOf(channel) === SECRET) return respond(403, "forbidden", "your token doesn't grant this channel");
    if (searchParams.has("members")) return this.#list(nameOf(channel), searchParams.get("after") ?? "");
    if (method === "GET") return respond(200, undefined, "");
    const key = headers["Idempotency-Key"];
    if (nameOf(channel) === FLEETING && key !== undefined)
      return respond(400, "no-history", "this channel retains no messages");
    if (body.length > this.#server.settings.maxLineBytes) return respond(400, "limit", "a line is too long");
    if (this.#chance(8)) return respond(429, "rate", "too fast", { "Retry-After": "1" });
    const position = this.#server.announce(channel, body, key);
    if (position === "conflict") return respond(409, "conflict", "this key was used for another message");
    return respond(
      200,
      undefined,
      JSON.stringify({ channel, position: nameOf(channel) === FLEETING ? null : position, count: 1 }),
    );
  }

  /** Returns a page of the members of a channel. */
  #list(channel: string, after: string): ResponseLike {
    if (channel === FLEETING) return respond(400, "no-history", "this server has no presence");
    const { position, members } = this.#server.list(channel);
    const rest = members.filter(({ member }) => member > after);
    const page = rest.slice(0, PAGE);
    const next = rest.length > PAGE ? page.at(-1)?.member : undefined;
    const shown = page.map(({ member, data }) => (data === "" ? { member } : { member, data }));
    return respond(200, undefined, JSON.stringify({ channel, position, count: members.length, members: shown, next }));
  }

  /** Returns a random response of an overloaded server or a proxy. */
  #failure(): ResponseLike | undefined {
    if (this.#chance(10))
      return respond(503, "unavailable", "not now", this.#environment.choose(2) ? { "Retry-After": "2" } : {});
    if (this.#chance(20)) return respond(404, undefined, "<html>a page of a proxy</html>");
    if (this.#chance(20)) return respond(200, undefined, "<html>log in to this network</html>");
    return undefined;
  }

  #stream(url: string, init: Parameters<FetchLike>[1]): ResponseLike {
    const { pathname, searchParams } = new URL(url);
    const channel = decodeURIComponent(pathname.slice(1));
    const from = parseFrom(searchParams.get("since"), searchParams.get("last"));
    if (!from || "why" in from) throw new Breach(`the client streams from ${url}`);
    const refusal = this.#respond("https://host/-/info", { ...init });
    if (refusal.status !== 200) return refusal;
    if (nameOf(channel) === SECRET) return respond(403, "forbidden", "your token doesn't grant this channel");
    const body = new Body();
    const down: Pending[] = [];
    const end = () => {
      this.#breaks.delete(cut);
      this.#environment.enqueue(down, { label: "the stream ends", run: () => body.end() });
    };
    const send = (lines: string) => this.#deliver({ receive: (frame) => body.push(frame) }, down, lines);
    const session = new Session(send, end, this.#environment.now);
    const cut = () => {
      this.#server.drop(session);
      down.length = Math.min(down.length, this.#environment.choose(4));
      end();
    };
    session.isStream = true;
    this.#breaks.add(cut);
    init.signal.addEventListener("abort", () => {
      this.#breaks.delete(cut);
      down.length = 0;
      this.#server.drop(session);
      body.end();
    });
    this.#server.begin(session, init.headers.Authorization?.slice("Bearer ".length));
    session.send("debug!connected...\n");
    this.#resume(session, channel, from);
    return { ...respond(200, undefined, ""), body };
  }

  /** Sends the keepalive lines of streams, due every 20 seconds. */
  tick(): void {
    for (const session of this.#server.sessions) if (session.isStream) session.send("debug!alive\n");
  }
}

function respond(
  status: number,
  code: string | undefined,
  body: string,
  more: Record<string, string> = {},
): ResponseLike {
  const headers: Record<string, string> = {
    ...more,
    ...(code === undefined ? {} : { "Fanout-Error": code }),
  };
  return {
    status,
    headers: { get: (name) => headers[name] ?? null },
    body: null,
    text: () => Promise.resolve(body),
  };
}

/** A WebSocket connected to the simulated network. */
class FakeSocket {
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: ((event: unknown) => void) | null = null;
  onSend: (frame: string) => void = () => {};
  onClose: () => void = () => {};
  isOver = false;

  send(frame: string): void {
    if (this.isOver) throw new Error("the connection belongs to another request");
    this.onSend(frame);
  }

  close(): void {
    this.isOver = true;
    this.onClose();
  }

  receive(data: string): void {
    if (!this.isOver) this.onmessage?.({ data });
  }

  end(code: number, reason: string): void {
    if (this.isOver) return;
    this.isOver = true;
    if (code === 1006) this.onerror?.({});
    this.onclose?.({ code, reason });
  }
}

/** A streamed response body. */
class Body {
  readonly #chunks: Uint8Array[] = [];
  #isOver = false;
  #wakeReader = () => {};

  push(text: string): void {
    this.#chunks.push(new TextEncoder().encode(text));
    this.#wakeReader();
  }

  end(): void {
    this.#isOver = true;
    this.#wakeReader();
  }

  getReader() {
    return {
      read: async (): Promise<{ done: boolean; value?: Uint8Array | undefined }> => {
        while (this.#chunks.length === 0 && !this.#isOver) {
          await new Promise<void>((resolve) => {
            this.#wakeReader = resolve;
          });
        }
        const value = this.#chunks.shift();
        return { done: value === undefined, value };
      },
    };
  }
}
