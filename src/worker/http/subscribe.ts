/** Subscribing by HTTP: streams of lines or server-sent events, and polls. */
import type { Grants } from "../../auth/grants.ts";
import { channelFault, EVERYONE } from "../../protocol/channels.ts";
import { formatRefusal } from "../../protocol/errors.ts";
import { formatRetry, type Positions, parseId } from "../../protocol/events.ts";
import { type From, parseFrom } from "../../protocol/positions.ts";
import { tooManyChannels } from "../../protocol/refusals.ts";
import { type Backlog, Budget } from "../../streams/backlog.ts";
import { EventStream, RETRY } from "../../streams/event-stream.ts";
import { lineStream } from "../../streams/line-stream.ts";
import type { ObjectConnection } from "../../streams/object-connection.ts";
import { poll } from "../../streams/poll.ts";
import { openStream, type StreamFormat, type StreamReader } from "../../streams/stream.ts";
import { checkSubscribe } from "../admission.ts";
import { Denial, denialOf } from "../denial.ts";
import type { Env } from "../env.ts";
import { accepts, lastEventId } from "../headers.ts";
import { connectionOver, STREAM_ENVIRONMENT } from "../object-socket.ts";
import { placeConnection } from "../placement.ts";
import { chargeAddress, OBJECT_COST } from "../rate-limit.ts";
import { ERROR, POSITION } from "../responses.ts";
import type { Settings } from "../settings.ts";
import { onDisconnect } from "./disconnect.ts";
import { encodeShared } from "./shared-text.ts";

/**
 * Pending characters: for one reader, as many as an object sends at once of missed messages; for all, a quarter of the
 * Worker's 128 MB.
 */
const budget = new Budget({ forOne: 5_000_000, forAll: 32_000_000 });

/** Query parameters that only subscriptions have. */
export const SUBSCRIBE_PARAMETERS = ["since", "last", "poll", "channel"];

/** Whether a client asks for server-sent events. */
export function wantsEvents(request: Request): boolean {
  return accepts(request, "text/event-stream");
}

/**
 * Subscribes a client, and returns its stream or the answer to its poll.
 * @param channel the channel that the path names
 * @throws Denial if the request is refused
 */
export async function subscribe(
  request: Request,
  env: Env,
  channel: string,
  grants: Grants | undefined,
  settings: Settings,
): Promise<Response> {
  const wanted = parseSubscription(request, channel, grants, settings);
  const isPoll = new URL(request.url).searchParams.has("poll") && !wantsEvents(request);
  if (request.method === "HEAD") return new Response(null, { headers: headersOf(request) });
  const { linesPerSecond } = settings.limits;
  chargeAddress(request, OBJECT_COST * wanted.channels.length, linesPerSecond);
  const format = wantsEvents(request)
    ? new EventStream(wanted.channels, wanted.resumed, wanted.from, STREAM_ENVIRONMENT, linesPerSecond)
    : lineStream(wanted.channels, wanted.from, STREAM_ENVIRONMENT, linesPerSecond);
  const from = isPoll ? (wanted.from ?? { since: "now" }) : format.from;
  const { webSocket } = await placeConnection(env, channel, request, grants, from);
  const connection = connectionOver(webSocket, budget);
  onDisconnect(request, () => connection.drop());
  return isPoll ? answerPoll(request, channel, connection) : stream(request, connection, format);
}

/** Returns the channels, where to start in them, and the positions of the stream to resume. */
function parseSubscription(request: Request, channel: string, grants: Grants | undefined, settings: Settings) {
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
  const from = fromIn(searchParams);
  const isNumber = from && "since" in from && from.since !== "now";
  if (channels.length > 1 && isNumber) throw refuse("'since' is a position of one channel, and there are several");
  if (channels.length > 1 && searchParams.has("poll")) throw refuse("'poll' takes one channel");
  if (wantsEvents(request) && !channels.includes(EVERYONE)) channels.push(EVERYONE);
  return { channels, from, resumed: positionsToResume(request, channels.length) };
}

/** Returns where a request's query asks to start in the channel. */
export function fromIn(query: URLSearchParams): From | undefined {
  const from = parseFrom(query.get("since"), query.get("last"));
  if (from && "why" in from) throw new Denial(400, "invalid", from.why);
  return from;
}

/** Returns the positions of the stream to resume, which had as many channels. */
function positionsToResume(request: Request, channels: number): Positions | undefined {
  const id = lastEventId(request);
  if (id === undefined || !wantsEvents(request)) return undefined;
  const positions = parseId(id, channels);
  if (positions) return positions;
  throw new Denial(400, "invalid", "'Last-Event-ID' isn't an id of a stream of these channels");
}

// --- answers

async function stream(request: Request, connection: ObjectConnection, format: StreamFormat): Promise<Response> {
  const opened = await openStream(connection, format, STREAM_ENVIRONMENT);
  if ("code" in opened) throw denialOf(opened);
  return new Response(
    bodyOf(
      (reader) => opened.pull(reader),
      () => connection.drop(),
    ),
    { headers: headersOf(request) },
  );
}

async function answerPoll(request: Request, channel: string, connection: ObjectConnection): Promise<Response> {
  const polled = await poll(connection, channel, STREAM_ENVIRONMENT, budget);
  if ("code" in polled) throw denialOf(polled);
  const { lines, position } = polled;
  onDisconnect(request, () => lines.drop());
  return new Response(bodyOfPoll(lines), {
    headers: { ...headersOf(request), [POSITION]: String(position) },
  });
}

/**
 * Returns the answer at once if it is one piece, as most are; longer answers stay within the budget while they are
 * read.
 */
function bodyOfPoll(lines: Backlog): BodyInit {
  const first = lines.take(STREAM_ENVIRONMENT.now());
  return lines.size === 0 ? first : bodyOf(piecesOf(first, lines), () => lines.drop());
}

/** Returns a function that gives a reader the next piece. */
function piecesOf(first: string, lines: Backlog): (reader: StreamReader) => void {
  let piece = first;
  return (reader) => {
    const next = lines.take(STREAM_ENVIRONMENT.now());
    if (lines.isShed) reader.fail(new Error("the reader was too slow"));
    else if (piece === "") reader.end();
    else reader.write(piece);
    piece = next;
  };
}

/**
 * Returns a body that is produced while it is read.
 * @param pull gives the reader the next piece, now or later
 */
function bodyOf(pull: (reader: StreamReader) => void, cancel: () => void): ReadableStream<Uint8Array> {
  let isCancelled = false;
  const readerOf = (controller: ReadableStreamDefaultController<Uint8Array>): StreamReader => ({
    write: (piece) => isCancelled || controller.enqueue(encodeShared(piece)),
    end: () => isCancelled || controller.close(),
    fail: (error) => isCancelled || controller.error(error),
  });
  let reader: StreamReader | undefined;
  return new ReadableStream<Uint8Array>(
    {
      pull: (controller) => {
        reader ??= readerOf(controller);
        pull(reader);
      },
      cancel: () => {
        isCancelled = true;
        cancel();
      },
    },
    { highWaterMark: 0 },
  );
}

// --- headers and denials

function headersOf(request: Request): Record<string, string> {
  const type = wantsEvents(request) ? "text/event-stream" : "text/plain; charset=utf-8";
  return {
    "Content-Type": type,
    // Proxies must not cache, compress or buffer a stream; `wrangler dev` honors `Content-Encoding`.
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",
    "Content-Encoding": "identity",
    "X-Content-Type-Options": "nosniff",
  };
}

/**
 * Returns a denial as an event stream, because browsers never reconnect after any other response. Temporary denials are
 * an error event and a delay; clients whose access has ended get 204, after which browsers stop.
 */
export function denialAsEvents(request: Request, { status, code, message }: Denial): Response | undefined {
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
