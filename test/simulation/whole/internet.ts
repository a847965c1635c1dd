/** The network between one client and the Worker's isolates. It delays, breaks, stalls and loses as the choices say. */
import { RequestSocket } from "../../../src/client/requests.ts";
import type { FetchInit, FetchLike, ResponseLike, WebSocketConstructor } from "../../../src/client/types.ts";
import { Violation } from "../violation.ts";
import type { Pending } from "./clock.ts";
import { type Isolate, type Platform, WorkerSocket } from "./isolate.ts";
import type { Line } from "./line.ts";

/** How networks and proxies end connections. */
const CLOSINGS: [code: number, reason: string][] = [
  [1006, ""],
  [1000, ""],
  [1001, ""],
  [1011, "unexpected condition"],
  [1012, ""],
];

/** The world, as a client's network sees it. */
export interface World extends Platform {
  /** An isolate that may handle a request. */
  isolate(): Isolate;
  /** Whether faults may happen. */
  isHostile: boolean;
}

/** A request, and its two ends. */
interface Exchange {
  /** Tells the Worker that the client has gone. */
  disconnect: AbortController;
  /** The client's, which ends the request. */
  signal: AbortSignal;
  request: Request;
  /** Called when the client has read the whole response. */
  noteRead(): void;
}

/** A download in progress. */
interface Download {
  /** Its request, which must stay referenced: its signal would be lost with it. */
  readonly request: Request;
  isStalled: boolean;
  pending(): Pending[];
  cut(): void;
}

export class Internet {
  readonly #world: World;
  readonly #name: string;
  /** The header with which the platform tells clients apart. */
  readonly #address: Record<string, string>;
  /** Whether WebSockets are blocked. */
  isBlocked = false;
  /** Whether its client has been closed, and may not use it again. */
  isClosed = false;
  /** Each queue delivers its events in order. */
  readonly #queues = new Set<Pending[]>();
  readonly #downloads = new Set<Download>();
  /** Requests to which the Worker hasn't responded yet. */
  readonly #handled = new Set<Request>();
  /** The connections of the client's WebSockets. */
  readonly #lines = new Set<Line>();
  /** Until when the server has asked the client not to announce, and not to connect; in milliseconds. */
  readonly #askedToWait = { announce: 0, connect: 0 };

  /** @param name the client's name */
  constructor(world: World, name: string) {
    this.#world = world;
    this.#name = name;
    this.#address = { "CF-Connecting-IP": `192.0.2.${name.slice(1)}` };
  }

  /** Whether the client has an open WebSocket. */
  get isConnected(): boolean {
    return [...this.#lines].some(({ open, isStalled }) => open && !isStalled);
  }

  pending(): Pending[] {
    const events: Pending[] = [];
    for (const queue of this.#queues) {
      const [head] = queue;
      if (head) events.push({ label: `${this.#name}: ${head.label}`, happen: () => queue.shift()?.happen() });
      else this.#queues.delete(queue);
    }
    for (const download of this.#downloads) events.push(...download.pending());
    return events;
  }

  /** The number of requests that the Worker is carrying out, or whose response is being read. */
  get requests(): number {
    return this.#handled.size + this.#downloads.size;
  }

  faults(): Pending[] {
    const broken = [...this.#lines].filter(({ open }) => open);
    const { choose } = this.#world;
    return [
      ...broken.map((line) => ({
        label: `${line.name} of ${this.#name} breaks`,
        happen: () => {
          const [code, reason] = CLOSINGS[choose(CLOSINGS.length)] ?? [];
          if (choose(4) === 0) line.isStalled = true;
          else line.cut(code, reason);
        },
      })),
      ...[...this.#downloads].map((download) => ({
        label: `a download of ${this.#name} breaks`,
        happen: () => {
          if (choose(4) === 0) download.isStalled = true;
          else download.cut();
        },
      })),
    ].map((fault) => ({ ...fault, isFault: true }));
  }

  /** Stalls everything, so that neither end knows that nothing gets through. */
  stall(): void {
    for (const line of this.#lines) line.isStalled = line.open;
    for (const download of this.#downloads) download.isStalled = true;
  }

  #chance(among: number): boolean {
    return this.#world.isHostile && this.#world.choose(among) === 1;
  }

  #enqueue(queue: Pending[], label: string, happen: () => void): void {
    queue.push({ label, happen });
    this.#queues.add(queue);
  }

  #checkMayTry(what: string): void {
    if (this.isClosed) this.#world.violates(new Violation(`${this.#name}, which is closed, ${what}`));
  }

  /** Forgets what the server asked a connection for, because the client begins another one. */
  forgetDelays(what: "announce" | "connect"): void {
    this.#askedToWait[what] = 0;
  }

  #checkDelay(what: "announce" | "connect"): void {
    const early = this.#askedToWait[what] - this.#world.clock.now;
    if (early > 0) this.#world.violates(new Violation(`${this.#name} doesn't wait ${early} ms to ${what}`));
  }

  /** Notes how long the server asks the client to wait. */
  #noteDelay({ method }: FetchInit, url: string, { headers }: Response): void {
    const until = this.#world.clock.now + Number(headers.get("Retry-After")) * 1_000;
    if (until > this.#world.clock.now) this.#world.cover("a request to wait");
    if (method === "POST") this.#askedToWait.announce = until;
    else if (url.endsWith("?poll=")) this.#askedToWait.connect = until;
  }

  // --- WebSockets

  get WebSocket(): WebSocketConstructor {
    const connect = (url: string, protocols: string[], socket: ClientSocket) => this.#connect(url, protocols, socket);
    return class extends ClientSocket {
      constructor(url: string, protocols: string[]) {
        super();
        connect(url, protocols, this);
      }
    };
  }

  #connect(url: string, protocols: string[], socket: ClientSocket): void {
    this.#checkMayTry("connects");
    this.#checkDelay("connect");
    const queue: Pending[] = [];
    const refuse = () => this.#enqueue(queue, "the WebSocket fails", () => socket.end(1006, ""));
    if (this.#chance(12)) return;
    if (this.isBlocked || this.#chance(8)) refuse();
    else this.#enqueue(queue, `connects to ${url}`, () => this.#upgrade(url, protocols, socket, refuse));
  }

  #upgrade(url: string, protocols: string[], socket: ClientSocket, refuse: () => void): void {
    const headers: Record<string, string> = { Upgrade: "websocket", ...this.#address };
    if (protocols.length > 0) headers["Sec-WebSocket-Protocol"] = protocols.join(", ");
    const isolate = this.#world.isolate();
    isolate.onEnd.add(refuse);
    isolate.handle(new Request(url.replace(/^ws/, "http"), { headers })).then(({ webSocket }) => {
      isolate.onEnd.delete(refuse);
      if (!(webSocket instanceof WorkerSocket)) return refuse();
      isolate.release(webSocket);
      const { line } = webSocket;
      this.#enqueue([], `${line.name} opens`, () => this.#join(socket, line));
    });
  }

  #join(socket: ClientSocket, line: Line): void {
    if (socket.isOver) line.close();
    if (socket.isOver) return;
    this.#lines.add(line);
    line.peer = {
      frame: (data) => socket.receive(data),
      closed: (code, reason) => socket.end(code, reason),
    };
    socket.onSend = (frame) => line.send(frame);
    socket.onClose = () => line.close();
  }

  // --- requests

  /** Loads the client's module, which may fail like any other file. */
  readonly loadRequests = async () => {
    if (this.#chance(10)) throw new TypeError("the module can't be fetched");
    return { RequestSocket };
  };

  readonly fetch: FetchLike = (url, init) => {
    this.#checkMayTry(`requests ${url}`);
    if (init.method === "POST") this.#checkDelay("announce");
    const { signal } = init;
    const isSilent = this.#chance(16);
    const isLost = this.#chance(12);
    const isAnswerLost = this.#chance(12);
    return new Promise((resolve, reject) => {
      const queue: Pending[] = [];
      const disconnect = new AbortController();
      const fail = () =>
        this.#enqueue(queue, `${init.method} ${url} fails`, () => reject(new TypeError("fetch failed")));
      signal.addEventListener("abort", () => {
        reject(signal.reason);
        this.#enqueue(queue, "the Worker notices that the client has gone", () => disconnect.abort());
      });
      if (isSilent) return;
      if (isLost) return fail();
      this.#enqueue(queue, `${init.method} ${url}`, () => {
        if (signal.aborted) return;
        const isolate = this.#world.isolate();
        const headers = { ...init.headers, ...this.#address };
        const request = requestOf(url, { ...init, headers, signal: disconnect.signal });
        const lose = () => {
          this.#handled.delete(request);
          fail();
        };
        this.#handled.add(request);
        isolate.onEnd.add(lose);
        isolate.handle(request).then((response) => {
          this.#handled.delete(request);
          isolate.onEnd.delete(lose);
          if (signal.aborted) return;
          const noteRead = () => !signal.aborted && this.#noteDelay(init, url, response);
          const answer = this.#download(isolate, response, { disconnect, signal, request, noteRead });
          if (isAnswerLost) {
            answer.cut();
            fail();
          } else this.#enqueue(queue, `${response.status} of ${url}`, () => resolve(answer.response));
        });
      });
    });
  };

  #download(isolate: Isolate, response: Response, { disconnect, signal, request, noteRead }: Exchange) {
    const source = response.body?.getReader();
    /** What has arrived, and what is on its way; an error ends it. */
    const arrived: (Uint8Array | "end" | Error)[] = [];
    const coming: (Uint8Array | "end" | Error)[] = [];
    let wake = () => {};
    let isPulling = false;
    let isOver = false;
    const { choose } = this.#world;
    const download: Download = {
      request,
      isStalled: false,
      pending: () => {
        if (download.isStalled || isOver) return [];
        if (coming.length > 0) return [{ label: `${this.#name} reads a piece`, happen: deliver }];
        if (isPulling || !source || arrived.length > 0) return [];
        return [{ label: `${this.#name} reads on`, happen: pull }];
      },
      cut: () => finish(new TypeError("terminated")),
    };
    const ended = () => finish(new TypeError("terminated"));
    const close = () => {
      isOver = true;
      this.#downloads.delete(download);
      isolate.onEnd.delete(ended);
    };
    const arrive = (piece: Uint8Array | "end" | Error) => {
      arrived.push(piece);
      wake();
      if (!(piece instanceof Uint8Array)) close();
    };
    const finish = (error: Error) => {
      if (isOver) return;
      disconnect.abort();
      arrive(error);
    };
    const deliver = () => {
      const piece = coming.shift();
      if (!(piece instanceof Uint8Array)) return piece && arrive(piece);
      const length = Math.max(1, piece.length - Math.max(0, choose(2 * piece.length) - piece.length));
      if (length < piece.length) coming.unshift(piece.subarray(length));
      arrive(piece.subarray(0, length));
    };
    const pull = () => {
      isPulling = true;
      source?.read().then(
        ({ done, value }) => {
          isPulling = false;
          coming.push(done ? "end" : value);
        },
        (error: unknown) => {
          isPulling = false;
          coming.push(error instanceof Error ? error : new Error(String(error)));
        },
      );
    };
    const read = async (): Promise<{ done: boolean; value?: Uint8Array }> => {
      if (arrived.length === 0 && !isOver) await new Promise<void>((resolve) => (wake = resolve));
      const [piece] = arrived;
      if (piece instanceof Uint8Array) {
        arrived.shift();
        return { done: false, value: piece };
      }
      if (piece instanceof Error) throw piece;
      return { done: true };
    };
    if (source) {
      this.#downloads.add(download);
      isolate.onEnd.add(ended);
    }
    signal.addEventListener("abort", () => {
      close();
      arrived.push(signal.reason instanceof Error ? signal.reason : new Error("aborted"));
      wake();
    });
    const text = async () => {
      const decoder = new TextDecoder();
      let all = "";
      for (;;) {
        const { done, value } = await read();
        if (done) noteRead();
        if (done) return all;
        all += decoder.decode(value, { stream: true });
      }
    };
    const { status, headers } = response;
    const answer: ResponseLike = { status, headers, body: source ? { getReader: () => ({ read }) } : null, text };
    return { response: answer, cut: download.cut };
  }
}

/** Returns a request as the runtime passes it to a Worker. */
export function requestOf(url: string, { method, headers, body, signal }: FetchInit): Request {
  if (body === undefined) return new Request(url, { method, headers, signal });
  // The runtime's bodies can be read with `readAtLeast`, and these can't.
  const stream = new ReadableStream<Uint8Array>({
    start: (controller) => {
      controller.enqueue(new TextEncoder().encode(body));
      controller.close();
    },
  });
  return new Request(url, { method, headers, signal, body: stream, duplex: "half" });
}

/** The client's end of a WebSocket. */
class ClientSocket {
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: ((event: unknown) => void) | null = null;
  onSend: (frame: string) => void = () => {};
  onClose: () => void = () => {};
  isOver = false;

  send(frame: string): void {
    if (this.isOver) throw new Error("the WebSocket is closed");
    this.onSend(frame);
  }

  close(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.onClose();
  }

  receive(data: string): void {
    if (!this.isOver) this.onmessage?.({ data });
  }

  end(code: number, reason: string): void {
    if (this.isOver) return;
    this.isOver = true;
    this.onclose?.({ code, reason });
  }
}
