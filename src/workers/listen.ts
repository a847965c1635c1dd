/** Listening by HTTP: a stream of lines, or of server-sent events, or what was missed. */
import type { Grants } from "../auth/grants.ts";
import { channelFault, EVERYONE } from "../protocol/channels.ts";
import { TRY_AGAIN } from "../protocol/close-codes.ts";
import { formatCommand } from "../protocol/commands.ts";
import {
  type Fault,
  formatReason,
  formatRefusal,
  isTemporary,
  parseReason,
  type Refusal,
} from "../protocol/errors.ts";
import { COMMENT, formatRetry, type Positions, parseId } from "../protocol/events.ts";
import { type From, parseFrom } from "../protocol/positions.ts";
import { tooManyChannels } from "../protocol/refusals.ts";
import { ALIVE, formatError, GREETING, parseReply } from "../protocol/replies.ts";
import { checkSubscribe } from "./admission.ts";
import { chargeAddress, OBJECT } from "./charges.ts";
import { Denial, retryAfter } from "./denial.ts";
import type { Env } from "./env.ts";
import { EventStream } from "./event-stream.ts";
import { accepts } from "./headers.ts";
import { lastEventId } from "./last-event-id.ts";
import { placeConnection, unanswered } from "./placement.ts";
import { ERROR, POSITION } from "./responses.ts";
import type { Settings } from "./settings.ts";
import { Tap } from "./tap.ts";

/** How often a stream says that it is alive, in milliseconds; networks end those that say nothing for a minute. */
const ALIVE_EACH = 20_000;

/** How long clients of a stream that has ended wait before they come back, in milliseconds: from one to three times this. */
const RETRY = 1_000;

/** What a client asks to hear. */
interface Wanted {
  channels: string[];
  from: From | undefined;
  /** Where an earlier stream of it was. */
  resumed: Positions | undefined;
}

/** Whether a client asks for server-sent events. */
export function wantsEvents(request: Request): boolean {
  return accepts(request, "text/event-stream");
}

/**
 * Has a client listen.
 * @param channel that the path names
 * @throws Denial if that cannot be
 */
export async function listen(
  request: Request,
  env: Env,
  channel: string,
  grants: Grants | undefined,
  settings: Settings,
): Promise<Response> {
  const wanted = wantedIn(request, channel, grants, settings);
  const isPoll = new URL(request.url).searchParams.has("poll") && !wantsEvents(request);
  if (request.method === "HEAD") return new Response(null, { headers: headersOf(request) });
  chargeAddress(request, OBJECT * wanted.channels.length, settings.limits.linesPerSecond);
  const events = wantsEvents(request)
    ? new EventStream(wanted.channels, wanted.resumed, wanted.from)
    : undefined;
  const from = events ? events.from : (wanted.from ?? (isPoll ? { since: "now" } : undefined));
  const { webSocket } = await placeConnection(env, channel, request, grants, from);
  if (!webSocket) throw unanswered();
  if (isPoll) return poll(request, wanted, webSocket);
  return stream(request, webSocket, events ? eventsOf(events) : linesOf(wanted));
}

function wantedIn(request: Request, channel: string, grants: Grants | undefined, settings: Settings): Wanted {
  const { searchParams } = new URL(request.url);
  const channels = [...new Set([channel, ...searchParams.getAll("channel")])];
  const refuse = (why: string) => new Denial(400, "invalid", why);
  for (const named of channels) {
    const fault = channelFault(named);
    if (fault) throw refuse(fault);
    checkSubscribe(grants, named);
  }
  const most = settings.limits.maxChannelsPerConnection;
  if (channels.length >= most) throw new Denial(400, "limit", tooManyChannels(most));
  const from = parseFrom(searchParams.get("since"), searchParams.get("last"));
  if (from && "why" in from) throw refuse(from.why);
  const isNumber = from && "since" in from && from.since !== "now";
  if (channels.length > 1 && isNumber)
    throw refuse("'since' is a position of one channel, and there are several");
  if (channels.length > 1 && searchParams.has("poll")) throw refuse("'poll' takes one channel");
  if (wantsEvents(request) && !channels.includes(EVERYONE)) channels.push(EVERYONE);
  return { channels, from, resumed: resumedIn(request, channels.length) };
}

/** Where an earlier stream of as many channels was. */
function resumedIn(request: Request, channels: number): Positions | undefined {
  const id = lastEventId(request);
  if (id === undefined || !wantsEvents(request)) return undefined;
  const positions = parseId(id, channels);
  if (positions) return positions;
  throw new Denial(400, "invalid", "'Last-Event-ID' isn't an id of a stream of these channels");
}

// --- streams

/** How a stream is written. */
interface Dialect {
  /** What is written before all else. */
  begin: string;
  /** What is said to the object when it has greeted. */
  commands: string;
  /** What is written of some lines of the object's. */
  read(lines: string): string;
  /** What is written when nothing has been for a while. */
  tick: string;
  /** What is said to the object then. */
  again(): string;
  /** Formats an error that ends the stream. */
  say(refusal: Refusal): string;
  /** Why the stream can't go on, if it can't. */
  fault(): Fault | undefined;
}

/** The lines that a WebSocket would bring. */
function linesOf({ channels, from }: Wanted): Dialect {
  const last = from && "last" in from ? { from } : {};
  const commands = channels.slice(1).map((channel) => formatCommand({ kind: "subscribe", channel, ...last }));
  return {
    begin: "",
    commands: commands.map((command) => `${command}\n`).join(""),
    read: (lines) => lines,
    tick: ALIVE,
    again: () => "",
    say: formatError,
    fault: () => undefined,
  };
}

function eventsOf(events: EventStream): Dialect {
  return {
    begin: formatRetry(RETRY * (1 + 2 * Math.random())),
    commands: events.commands,
    read: (lines) => events.read(lines),
    tick: COMMENT,
    again: () => events.again(),
    say: (refusal) => events.say(`error ${formatRefusal(refusal)}`),
    fault: () => events.fault,
  };
}

async function stream(request: Request, socket: WebSocket, dialect: Dialect): Promise<Response> {
  const tap = tapOf(request, socket);
  const chunks = written(tap, dialect, await greetingOf(tap));
  const pull = async (controller: ReadableStreamDefaultController<Uint8Array>) => {
    for (;;) {
      const { done, value } = await chunks.next();
      if (done) return controller.close();
      if (value !== "") return controller.enqueue(encoder.encode(value));
    }
  };
  const start = (controller: ReadableStreamDefaultController<Uint8Array>) => {
    tap.onSlow = () => controller.error(new Error("the reader was too slow"));
  };
  const body = new ReadableStream<Uint8Array>({ start, pull }, { highWaterMark: 0 });
  return new Response(body, { headers: headersOf(request) });
}

const encoder = new TextEncoder();

/** What is written, as it comes; what comes while the reader takes its time goes together. */
async function* written(tap: Tap, dialect: Dialect, greeting: string): AsyncGenerator<string, void> {
  tap.say(dialect.commands);
  yield dialect.begin + dialect.read(greeting);
  for (;;) {
    const lines = await tap.take(ALIVE_EACH);
    if (lines !== "") yield dialect.read(lines);
    else if (tap.ending) break;
    else {
      tap.say(dialect.again());
      yield dialect.tick;
    }
    const fault = dialect.fault();
    if (fault) tap.end({ code: TRY_AGAIN, reason: formatReason(fault) });
  }
  const fault = parseReason(tap.ending.reason);
  if (fault) yield dialect.say({ ...fault, command: "connect" });
}

/** A client that has gone is told by the request alone. */
function tapOf(request: Request, socket: WebSocket): Tap {
  const tap = new Tap(socket);
  request.signal.addEventListener("abort", () => tap.drop());
  return tap;
}

/** @throws Denial if the object does not let the connection in */
async function greetingOf(tap: Tap): Promise<string> {
  const first = await tap.take();
  if (first.startsWith(GREETING)) return first;
  throw denialOf(tap);
}

/** The denial that says why a connection has ended: its access did, or it may be tried again. */
function denialOf({ ending }: Tap): Denial {
  const fault = parseReason(ending?.reason ?? "");
  if (!fault) return unanswered();
  const { code, why } = fault;
  return isTemporary(code) ? new Denial(503, code, why, retryAfter(5)) : new Denial(401, code, why);
}

// --- polling

/** What was missed, and where that ends. */
async function poll(request: Request, { channels: [channel = EVERYONE] }: Wanted, socket: WebSocket) {
  const tap = tapOf(request, socket);
  let lines = await greetingOf(tap);
  tap.say("ping\n");
  while (!ANSWERED.test(lines)) {
    const more = await tap.take();
    if (more === "") throw denialOf(tap);
    lines += more;
  }
  tap.end();
  const missed = missedIn(lines, channel);
  const { fault } = missed;
  if (fault?.code === "no-history") throw new Denial(400, fault.code, fault.why);
  if (fault) throw new Denial(503, fault.code, fault.why, retryAfter(1));
  const position = missed.position === undefined ? {} : { [POSITION]: String(missed.position) };
  return new Response(missed.lines, { headers: { ...headersOf(request), ...position } });
}

/** The answer to `ping`, which is the last line. */
const ANSWERED = /(^|\n)\d+\n$/;

/** A channel's messages among the lines, gaps between them, and the position of the last one. */
function missedIn(lines: string, channel: string) {
  const missed: { lines: string; position: number | undefined; fault: Fault | undefined } = {
    lines: "",
    position: undefined,
    fault: undefined,
  };
  for (const line of lines.split("\n")) {
    const reply = parseReply(line);
    if (reply.kind === "error") missed.fault = reply;
    if (reply.kind === "position") missed.position = reply.position;
    const isMessage = reply.kind === "message" && reply.channel === channel && missed.position !== undefined;
    if (isMessage) missed.position = (missed.position ?? 0) + 1;
    if (isMessage || reply.kind === "gap") missed.lines += `${line}\n`;
  }
  return missed;
}

// --- what goes with an answer

function headersOf(request: Request): Record<string, string> {
  const type = wantsEvents(request) ? "text/event-stream" : "text/plain; charset=utf-8";
  return {
    "Content-Type": type,
    // Nobody on the way is to keep it, to compress it, or to wait for more of it; `wrangler dev` asks the last one.
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",
    "Content-Encoding": "identity",
    "X-Content-Type-Options": "nosniff",
  };
}

/**
 * How a denial is told to who asks for events: a browser never comes back after an answer that is not one, so
 * where waiting helps it gets one, and where its access has ended it is told that this was all.
 */
export function deniedEvents(request: Request, { status, code, message }: Denial): Response | undefined {
  if (!wantsEvents(request) || request.method !== "GET") return undefined;
  if ((status === 401 || status === 403) && lastEventId(request) !== undefined) {
    return new Response(null, { status: 204, headers: { [ERROR]: code } });
  }
  if (status !== 503 && status !== 429) return undefined;
  const retry = formatRetry(5 * RETRY * (1 + 2 * Math.random()));
  const error = formatRefusal({ code, command: "connect", why: message });
  const headers = { ...headersOf(request), [ERROR]: code };
  return new Response(`${retry}event: debug\ndata: error ${error}\n\n`, { headers });
}
