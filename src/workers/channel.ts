/**
 * The Durable Object, the only class there is. The one named `c` is the root of channel `c`: it
 * orders the channel's messages and sends them to its own sockets and to the objects linked to it. It
 * is also where the sockets connected at `/c` are, and links to other roots on their behalf.
 *
 * This file hands the runtime's events on to `broker/broker.ts`, which does the work.
 */
import { DurableObject } from "cloudflare:workers";
import { readToken } from "../auth/tokens.ts";
import { Broker } from "../broker/broker.ts";
import type { Calls } from "../links/messages.ts";
import { NO_CODE, PROTOCOL_ERROR } from "../protocol/close-codes.ts";
import { formatCommand } from "../protocol/commands.ts";
import { ALIVE } from "../protocol/replies.ts";
import type { Callable, Env } from "./env.ts";
import { readSettings } from "./settings.ts";
import { formatElsewhere, formatTaken, parseUpgrade } from "./upgrade.ts";
import { platformOf, type Runtime } from "./world.ts";

/** What the runtime itself answers, also for an object that sleeps, and does not wake it for. */
const KEEPALIVE = `${formatCommand({ kind: "keepalive" })}\n`;

export class Channel extends DurableObject<Env> implements Callable {
  /** The sockets that hibernated with this object. */
  readonly #slept: WebSocket[];
  /** Undefined until the first event of this life. */
  #alive: { broker: Broker; runtime: Runtime } | undefined;
  /** When the alarm that an earlier life has set is to go off; it tells whether that life crashed. */
  #alarmTime: number | undefined;

  constructor(context: DurableObjectState, env: Env) {
    super(context, env);
    this.#slept = context.getWebSockets();
    context.setWebSocketAutoResponse(new WebSocketRequestResponsePair(KEEPALIVE, ALIVE));
    void context.blockConcurrencyWhile(async () => {
      this.#alarmTime = (await context.storage.getAlarm()) ?? undefined;
    });
  }

  get #broker(): Broker {
    return this.#wake().broker;
  }

  #wake() {
    if (this.#alive) return this.#alive;
    const { limits, tokens } = readSettings({ ...this.env });
    const verify = tokens && ((token: string) => readToken(token, tokens));
    const runtime = platformOf(this.ctx, this.env, this.#alarmTime);
    const sockets = {
      acceptWebSocket: (socket: WebSocket) => this.ctx.acceptWebSocket(socket),
      getWebSockets: () => this.#slept,
    };
    this.#alive = { runtime, broker: new Broker(runtime, sockets, limits, verify) };
    return this.#alive;
  }

  /** An upgrade that the Worker has sent here; without room it is answered with where to go. */
  override fetch(request: Request): Response {
    const { region, full, below, grants, from, subprotocol } = parseUpgrade(request.headers);
    const elsewhere = this.#broker.placeFor(region, full, below);
    if (elsewhere !== undefined) return formatElsewhere(elsewhere);
    const { 0: client, 1: server } = new WebSocketPair();
    this.#broker.opened(server, region, grants, from);
    return formatTaken(client, subprotocol);
  }

  override webSocketMessage(socket: WebSocket, frame: string | ArrayBuffer): void {
    this.#broker.received(socket, frame);
  }

  override webSocketClose(socket: WebSocket, code: number, reason: string): void {
    this.#closed(socket);
    try {
      if (code === NO_CODE) socket.close();
      else socket.close(code, reason);
    } catch {
      // Nor is 1006 for sending, of a connection that broke off, nor are codes that there are not.
      socket.close(PROTOCOL_ERROR);
    }
  }

  override webSocketError(socket: WebSocket): void {
    this.#closed(socket);
  }

  /** One that has just been closed is among those that slept no more, but still has what was kept with it. */
  #closed(socket: WebSocket): void {
    if (!this.#alive && !this.#slept.includes(socket)) this.#slept.push(socket);
    this.#broker.closed(socket);
  }

  /** What it was set for is not known from storage any more. */
  override alarm(info?: AlarmInvocationInfo): void {
    this.#alarmTime = info?.scheduledTime ?? this.#alarmTime;
    const { broker, runtime } = this.#wake();
    runtime.forgetAlarm();
    broker.alarmed();
  }

  /**
   * Answers a call from another object, or from a Worker.
   * @param hop how many hops deep this object is then
   */
  call<Kind extends keyof Calls>(
    kind: Kind,
    ask: Calls[Kind]["ask"],
    hop: number,
  ): Promise<Calls[Kind]["answer"]> {
    return this.#broker.called(kind, ask, hop);
  }
}
