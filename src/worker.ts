/** The Worker: where a request goes. */

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
  fetch(request: Request, env: Env): Response | Promise<Response> {
    const channel = channelOf(new URL(request.url).pathname);
    const fault = channel === undefined ? "the path is not percent-encoded UTF-8" : channelFault(channel);
    if (channel === undefined || fault) return text(400, `Cannot connect: ${fault}.\n`);
    if (request.headers.get("Upgrade")?.toLowerCase() !== "websocket") {
      return channel === EVERYONE ? text(200, WELCOME) : text(426, WELCOME, { Upgrade: "websocket" });
    }
    try {
      readSettings({ ...env });
    } catch (error) {
      if (error instanceof SettingError)
        return text(500, `This server's settings are wrong: ${error.message}.\n`);
      throw error;
    }
    return placeConnection(env, channel, request);
  },
} satisfies ExportedHandler<Env>;

/** The channel that a path names; undefined if its percent-encoding is broken. */
function channelOf(pathname: string): string | undefined {
  try {
    return decodeURIComponent(pathname.slice(1)) || EVERYONE;
  } catch {
    return undefined;
  }
}

function text(status: number, body: string, headers: Record<string, string> = {}): Response {
  return new Response(body, { status, headers: { "Content-Type": "text/plain; charset=utf-8", ...headers } });
}
