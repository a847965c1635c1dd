/**
 * The Durable Object. The one named `c` is the root of channel `c`: it orders the channel's messages
 * and sends them to its own sockets and to the objects linked to it. It is also the home of the
 * sockets connected at `/c`, and links to the roots of other channels on their behalf.
 *
 * This file wires the parts to the runtime's events; `feed.ts` and `home.ts` do the work.
 */
import { DurableObject } from "cloudflare:workers";
import { type Answer, Census, formatInfo, type ServiceFigures } from "./census.ts";
import { Feed } from "./feed.ts";
import { Home } from "./home.ts";
import type { Delivery, DeliveryAnswer, LinkAnswer, LinkRequest, World } from "./links.ts";
import { EVERYONE } from "./protocol.ts";
import { readSettings } from "./settings.ts";
import { type Figures, Stats } from "./stats.ts";
import type { Env } from "./worker.ts";
import { inTime, worldOf } from "./world.ts";

/** How long after an event what must outlive this object's time in memory is written, in milliseconds. */
const SETTLE_AFTER = 1_000;
/** How soon an object looks again after something was left unfinished, in milliseconds. */
const LOOK_AGAIN = 10_000;

export class Channel extends DurableObject<Env> {
  readonly #world: World;
  readonly #stats: Stats;
  readonly #census: Census;
  readonly #feed: Feed;
  #flushing = false;
  #settling = false;
  #watched = false;
  #home: Home | undefined;

  constructor(context: DurableObjectState, env: Env) {
    super(context, env);
    this.#world = worldOf(context, env);
    const { store, name } = this.#world;
    const settings = readSettings({ ...env });
    this.#stats = new Stats(store);
    this.#census = new Census(store, this.#world.now());
    this.#feed = new Feed(this.#world, name, settings.maxBufferedBytes, {
      busy: () => this.#lookAgain(),
      farewell: (farewell) => this.#census.ended(farewell, this.#feed.size + this.home.size),
    });
    if (this.#feed.isBusy) this.#flushSoon();
  }

  /** Made when something first needs it, as it reads what every hibernated socket is subscribed to. */
  get home(): Home {
    this.#home ??= new Home({
      context: this.ctx,
      world: this.#world,
      settings: readSettings({ ...this.env }),
      stats: this.#stats,
      feed: this.#feed,
      flushSoon: () => this.#flushSoon(),
      lookAgain: () => this.#lookAgain(),
      info: () => this.#info(),
    });
    return this.#home;
  }

  // --- events of this object's own sockets

  override fetch(): Response {
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.waitUntil(this.home.opened(server));
    this.#settleSoon();
    return new Response(null, { status: 101, webSocket: client });
  }

  override webSocketMessage(socket: WebSocket, frame: string | ArrayBuffer): Promise<void> {
    this.#settleSoon();
    return Promise.resolve(this.home.received(socket, frame));
  }

  override webSocketClose(socket: WebSocket, code: number, reason: string): void {
    this.#settleSoon();
    this.home.closed(socket);
    try {
      socket.close(code, reason);
    } catch {
      // Codes such as 1006 are not for sending: then there is nobody left to answer.
    }
  }

  override webSocketError(socket: WebSocket): void {
    this.#settleSoon();
    this.home.closed(socket);
  }

  /** Goes on with what an earlier life of this object, or an unreachable other one, left unfinished. */
  override alarm(): void {
    this.#watched = false;
    this.home.joinEveryone();
    this.#flushSoon();
    this.#settleSoon();
  }

  // --- calls from other objects; `links.ts` says what they mean

  link(request: LinkRequest): LinkAnswer {
    if (this.#world.name === EVERYONE) this.#census.begin();
    this.#settleSoon();
    return this.#feed.link(request);
  }

  unlink(request: LinkRequest): void {
    this.#settleSoon();
    this.#feed.unlink(request);
  }

  deliver(delivery: Delivery): DeliveryAnswer {
    this.#settleSoon();
    return this.home.deliver(delivery);
  }

  announce(lines: string, count: number): number {
    this.#settleSoon();
    return this.home.place(lines, count);
  }

  /** What this object says of itself. */
  figures(): Figures {
    return this.home.figures();
  }

  /** What the whole service says of itself; only the root of `all` can tell. */
  async serviceFigures(): Promise<ServiceFigures> {
    const objects = [...this.#feed.objects];
    const asked = objects.map(
      (object): Promise<Answer> =>
        inTime(async () => this.env.CHANNEL.getByName(object).figures()).then((figures) => ({
          epoch: this.#feed.epochOf(object),
          figures,
        })),
    );
    const outcomes = await Promise.allSettled(asked);
    const answers = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
    return this.#census.sum([{ figures: this.figures() }, ...answers], objects.length - answers.length);
  }

  async #info(): Promise<string> {
    const figures =
      this.#world.name === EVERYONE
        ? await this.serviceFigures()
        : await inTime(async () => this.env.CHANNEL.getByName(EVERYONE).serviceFigures());
    return formatInfo(figures, this.#world.now());
  }

  // --- what is done after an event rather than in it

  /**
   * Sends what has been gathered when the event loop has turned: what comes in the same turn goes out
   * together, and nothing waits for anything that is not there yet.
   */
  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    setTimeout(() => {
      this.#flushing = false;
      this.#home?.flush();
      this.#feed.flush();
    }, 0);
  }

  /** Writes down, in a while, what must not be forgotten; until then this object stays in memory. */
  #settleSoon(): void {
    if (this.#settling) return;
    this.#settling = true;
    setTimeout(() => {
      this.#settling = false;
      this.#settle();
    }, SETTLE_AFTER);
  }

  #settle(): void {
    this.#stats.save();
    if (this.#world.name === EVERYONE) this.#census.begin();
    if (!this.#feed.settle()) this.#settleSoon();
    else if (this.home.hearsEveryone) this.#needNotLookAgain();
    this.#world.store.release();
  }

  /** Sees to it that this object wakes again even if it crashes and nobody calls. */
  #lookAgain(): void {
    if (this.#watched) return;
    this.#watched = true;
    this.ctx.waitUntil(this.ctx.storage.setAlarm(this.#world.now() + LOOK_AGAIN));
  }

  #needNotLookAgain(): void {
    if (!this.#watched) return;
    this.#watched = false;
    this.ctx.waitUntil(this.ctx.storage.deleteAlarm());
  }
}
