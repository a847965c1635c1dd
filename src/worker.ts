/** The Worker: where a request goes. */
import { admit, Denial } from "./admission.ts";
import type { Channel } from "./channel.ts";
import { placeConnection } from "./placement.ts";
import { channelFault, EVERYONE } from "./protocol.ts";
import { readSettings, SettingError } from "./settings.ts";

export { Channel } from "./channel.ts";

export interface Env {
  CHANNEL: DurableObjectNamespace<Channel>;
}

const WELCOME = `This is Fanout, a pub/sub server. Connect with a WebSocket:

  /            to hear the channel '${EVERYONE}', to which every connection is subscribed
  /<channel>   to be subscribed to <channel> as well, from the start

Then send lines, each ending in "\\n": ping, info, subscribe <channel>, unsubscribe <channel>,
announce <channel> <message>. Messages arrive as lines: <channel>!<message>
`;

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    try {
      const channel = channelOf(request);
      const grants = await admit(request, channel, readSettings({ ...env }));
      if (request.headers.get("Upgrade")?.toLowerCase() === "websocket") {
        return await placeConnection(env, channel, request, grants);
      }
      return channel === EVERYONE ? text(200, WELCOME) : text(426, WELCOME, { Upgrade: "websocket" });
    } catch (error) {
      if (error instanceof Denial) return text(error.status, `${error.message}\n`);
      if (error instanceof SettingError) {
        return text(500, `This server's settings are wrong: ${error.message}.\n`);
      }
      throw error;
    }
  },
} satisfies ExportedHandler<Env>;

/** The channel that a request's path names. */
function channelOf(request: Request): string {
  const channel = decoded(new URL(request.url).pathname.slice(1));
  const fault = channel === undefined ? "the path is not percent-encoded UTF-8" : channelFault(channel);
  if (channel === undefined || fault) throw new Denial(400, `Cannot connect: ${fault}.`);
  return channel;
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
