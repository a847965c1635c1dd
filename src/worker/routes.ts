/** Routes requests. */
import { EVERYONE } from "../protocol/channels.ts";
import { operate } from "./admin/operations.ts";
import { admit, checkSubscribe } from "./admission.ts";
import { channelIn } from "./channel-path.ts";
import { Denial } from "./denial.ts";
import { type Env, readBindings } from "./env.ts";
import { failed } from "./failures.ts";
import { accepts, wordsOf } from "./headers.ts";
import { clientModule, isClientModule } from "./http/client-module.ts";
import { consolePage, wantsConsole } from "./http/console.ts";
import { asksForMembers, listMembers } from "./http/members.ts";
import { publish } from "./http/post.ts";
import { fromIn, SUBSCRIBE_PARAMETERS, subscribe, wantsEvents } from "./http/subscribe.ts";
import { checkOrigin, METHODS, preflight, shareWithOrigin } from "./origins.ts";
import { placeConnection } from "./placement.ts";
import { chargeAddress, OBJECT_COST } from "./rate-limit.ts";
import { text } from "./responses.ts";
import { checkSecret, readSettings, type Settings } from "./settings.ts";

const WELCOME = `This is Fanout, a pub/sub server. Connect with a WebSocket:

  /            subscribes to the channel '${EVERYONE}', as every connection does
  /<channel>   subscribes to <channel> as well

Then send lines, each ending in "\\n": ping, info, subscribe <channel>, unsubscribe <channel>,
announce <channel> <message>. Channels have no spaces. Messages arrive as lines: <channel>!<message>

Without a WebSocket, GET /<channel> subscribes, and POST /<channel> announces:

  curl -N <this address>/news
  curl -d 'hello' <this address>/news
`;

/**
 * Answers a request. It never throws: every failure becomes a response that pages can read.
 * @param env the Worker's bindings and settings
 * @param below the path below the prefix at which another Worker mounts this server; undefined if it isn't mounted
 */
export async function handle(request: Request, env: object, below?: string): Promise<Response> {
  let allowedOrigins: readonly string[] | undefined;
  const answered = async () => {
    const { pathname, origin } = addressOf(request);
    const path = below ?? pathname;
    if (isClientModule(path)) return clientModule(request);
    const settings = readSettings({ ...env }, below === undefined ? undefined : [origin]);
    allowedOrigins = settings.allowedOrigins;
    checkSecret(settings, request);
    return answer(request, readBindings(env), path, settings);
  };
  const response = await answered().catch((error: unknown) => failed(request, env, error, commandOf(request, below)));
  return shareWithOrigin(request, response, allowedOrigins);
}

/** Names what a request wants to do, in the words of errors and claims, for the log. */
function commandOf(request: Request, below: string | undefined): string {
  if (!URL.canParse(request.url)) return "connect";
  const path = below ?? new URL(request.url).pathname;
  if (path.startsWith("/-/")) return "operate";
  if (asksForMembers(request)) return "members";
  return request.method === "POST" ? "announce" : "connect";
}

/** @throws Denial if the client's `Host` isn't valid */
function addressOf({ url }: Request): URL {
  if (URL.canParse(url)) return new URL(url);
  throw new Denial(400, "invalid", "the address isn't a URL; send a valid 'Host'");
}

async function answer(request: Request, env: Env, path: string, settings: Settings): Promise<Response> {
  // Without a successful preflight, browsers would hide why the request that follows is refused.
  if (request.method === "OPTIONS") return preflight(request);
  checkOrigin(request, settings);
  if (path.startsWith("/-/")) return operate(request, env, path, settings);
  if (asksForMembers(request)) return listMembers(request, env, path, settings);
  if (wantsUpgrade(request)) return connect(request, env, channelIn(path), settings);
  if (request.method === "POST") return publish(request, env, channelIn(path), settings);
  if (request.method !== "GET" && request.method !== "HEAD") {
    throw new Denial(405, "invalid", "this method isn't supported; GET subscribes and POST announces", {
      Allow: METHODS,
    });
  }
  const channel = channelIn(path);
  if (settings.hasConsole && wantsConsole(request)) return consolePage(request, path);
  if (Number(request.headers.get("Content-Length")) > 0) {
    throw new Denial(400, "invalid", "GET subscribes, and has no body; use POST to announce");
  }
  const grants = await admit(request, env, settings);
  checkSubscribe(grants, channel);
  if (wantsPage(request, path)) return text(200, WELCOME);
  return subscribe(request, env, channel, grants, settings);
}

async function connect(request: Request, env: Env, channel: string, settings: Settings): Promise<Response> {
  const from = fromIn(new URL(request.url).searchParams);
  const grants = await admit(request, env, settings);
  checkSubscribe(grants, channel);
  chargeAddress(request, OBJECT_COST, settings.limits.linesPerSecond);
  const { response } = await placeConnection(env, channel, request, grants, from);
  return response;
}

/**
 * Returns whether a client requests a WebSocket.
 * @throws Denial if the client offers several protocols, because the runtime can't choose
 */
function wantsUpgrade(request: Request): boolean {
  const protocols = wordsOf(request, "Upgrade").map((word) => word.split("/")[0]);
  if (request.method !== "GET" || !protocols.includes("websocket")) return false;
  if (protocols.length === 1 && /^websocket$/i.test(request.headers.get("Upgrade") ?? "")) return true;
  const why = "the request offers several protocols; send 'Upgrade: websocket' only";
  throw new Denial(426, "invalid", why, { Upgrade: "websocket" });
}

/** Whether to answer with a page rather than a subscription: to browsers, and at `/` without parameters. */
function wantsPage(request: Request, path: string): boolean {
  if (wantsEvents(request)) return false;
  const isPerson = accepts(request, "text/html");
  const { searchParams } = new URL(request.url);
  return isPerson || (path === "/" && !SUBSCRIBE_PARAMETERS.some((name) => searchParams.has(name)));
}
