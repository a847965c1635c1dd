/** Where a request goes. */
import { SettingError } from "../broker/limits.ts";
import { channelFault, EVERYONE } from "../protocol/channels.ts";
import { type From, parseFrom } from "../protocol/positions.ts";
import { admit, Denial } from "./admission.ts";
import type { Env } from "./env.ts";
import { placeConnection } from "./placement.ts";
import { readSettings } from "./settings.ts";

const WELCOME = `This is Fanout, a pub/sub server. Connect with a WebSocket:

  /            to hear the channel '${EVERYONE}', to which every connection is subscribed
  /<channel>   to be subscribed to <channel> as well, from the start

Then send lines, each ending in "\\n": ping, info, subscribe <channel>, unsubscribe <channel>,
announce <channel> <message>. Messages arrive as lines: <channel>!<message>
`;

/** Answers a request; an upgrade is answered by the channel's object. */
export async function handle(request: Request, env: Env): Promise<Response> {
  try {
    const channel = channelIn(request);
    const from = fromIn(request);
    const grants = await admit(request, channel, readSettings({ ...env }));
    if (request.headers.get("Upgrade")?.toLowerCase() === "websocket") {
      return await placeConnection(env, channel, request, grants, from);
    }
    return channel === EVERYONE ? text(200, WELCOME) : text(426, WELCOME, { Upgrade: "websocket" });
  } catch (error) {
    if (error instanceof Denial) return text(error.status, `${error.message}\n`);
    if (error instanceof SettingError) {
      return text(500, `This server's settings are wrong: ${error.message}.\n`);
    }
    throw error;
  }
}

/** The channel that a request's path names. */
function channelIn(request: Request): string {
  const channel = decoded(new URL(request.url).pathname.slice(1));
  const fault = channel === undefined ? "the path is not percent-encoded UTF-8" : channelFault(channel);
  if (channel === undefined || fault) throw new Denial(400, `Cannot connect: ${fault}.`);
  return channel;
}

/** From where on a request's query asks to hear the channel. */
function fromIn(request: Request): From | undefined {
  const { searchParams } = new URL(request.url);
  const from = parseFrom(searchParams.get("since"), searchParams.get("last"));
  if (from && "why" in from) throw new Denial(400, `Cannot connect: ${from.why}.`);
  return from;
}

function decoded(path: string): string | undefined {
  try {
    return decodeURIComponent(path) || EVERYONE;
  } catch {
    return undefined;
  }
}

function text(status: number, body: string, more: Record<string, string> = {}): Response {
  const headers = {
    "Content-Type": "text/plain; charset=utf-8",
    "X-Content-Type-Options": "nosniff",
    ...(status === 401 ? { "WWW-Authenticate": "Bearer" } : {}),
    ...more,
  };
  return new Response(body, { status, headers });
}
