/**
 * A site that everyone reads and on which members post, with Fanout below /live:
 *
 * - `lobby`: members announce directly, with their token. Readers can't tell which member announced a message.
 * - `board`: members send posts to this Worker, which announces them with the author's name. No other client can.
 * - `user/<name>`: mentions of a member, which only that member receives.
 */
import { type Env as FanoutEnv, mount } from "fanout-edge/worker";
import { jwtVerify, SignJWT } from "jose";

export { Channel } from "fanout-edge/worker";

interface Env extends FanoutEnv {
  TOKEN_SECRET?: string;
}

interface Grants {
  subscribe?: string[];
  announce?: string[];
}

/** Names of members. A name such as `*` would match every channel in a grant. */
const NAME = /^\w{1,20}$/;

/** The longest body of a request, in bytes, and the most members that a post can mention. */
const LONGEST = 2_000;
const MOST_MENTIONS = 5;

/** A token is valid for ten minutes, because it can't be revoked; pages get a new one in time. */
const TOKEN_LIFETIME = "10m";

/** Identifies session cookies, which are signed with the same secret, so that a token isn't accepted as a session. */
const SESSION = "session";

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    if (!env.TOKEN_SECRET) return text(500, "set TOKEN_SECRET; without it, everyone may announce everything");
    const secret = new TextEncoder().encode(env.TOKEN_SECRET);
    const live = mount("/live", request, env);
    if (live) return live;
    switch (`${request.method} ${new URL(request.url).pathname}`) {
      case "POST /login":
        return logIn(request, secret);
      case "POST /logout":
        return new Response(null, { headers: { "Set-Cookie": cookie(request, "", 0) } });
      case "GET /token":
        return tokenFor(await userOf(request, secret), secret);
      case "POST /posts":
        return post(request, await userOf(request, secret), env, secret);
      default:
        return text(404, "there is no such page");
    }
  },
};

/** Starts a session. A real site would check a password; this one believes the name. */
async function logIn(request: Request, secret: Uint8Array): Promise<Response> {
  const name = await bodyOf(request);
  if (name === undefined || !NAME.test(name)) return text(400, "a name has 1 to 20 letters, digits or underscores");
  const session = new SignJWT().setProtectedHeader({ alg: "HS256" }).setSubject(name).setAudience(SESSION);
  const signed = await session.setExpirationTime("1d").sign(secret);
  return new Response(null, { headers: { "Set-Cookie": cookie(request, signed, 86_400) } });
}

/** Returns a session cookie. Pages can't read it, and browsers don't send it with posts from other sites. */
function cookie({ url }: Request, session: string, seconds: number): string {
  const secure = new URL(url).protocol === "https:" ? "; Secure" : "";
  return `session=${session}; Max-Age=${seconds}; Path=/; HttpOnly; SameSite=Lax${secure}`;
}

/** Returns the member whose session a request has; undefined for guests. */
async function userOf(request: Request, secret: Uint8Array): Promise<string | undefined> {
  const [, session] = /(?:^|; )session=([\w.-]+)/.exec(request.headers.get("Cookie") ?? "") ?? [];
  if (session === undefined) return undefined;
  const verified = await jwtVerify(session, secret, { audience: SESSION }).catch(() => undefined);
  return verified?.payload.sub;
}

/** Responds with a page's user and token: guests read, members also announce and have a channel of their own. */
async function tokenFor(user: string | undefined, secret: Uint8Array): Promise<Response> {
  const grants: Grants =
    user === undefined
      ? { subscribe: ["lobby", "board"] }
      : { subscribe: ["lobby", "board", `user/${user}`], announce: ["lobby"] };
  const token = await sign(user ?? "guest", grants, TOKEN_LIFETIME, secret);
  return Response.json({ user, token }, { headers: { "Cache-Control": "no-store" } });
}

function sign(subject: string, grants: Grants, lifetime: string, secret: Uint8Array): Promise<string> {
  const token = new SignJWT({ ...grants }).setProtectedHeader({ alg: "HS256" }).setSubject(subject);
  return token.setExpirationTime(lifetime).sign(secret);
}

/** Announces a member's post under the member's name, and notifies the mentioned members. */
async function post(request: Request, from: string | undefined, env: Env, secret: Uint8Array): Promise<Response> {
  if (from === undefined) return text(403, "log in to post");
  const body = await bodyOf(request);
  if (!body) return text(400, `a post has 1 to ${LONGEST} bytes`);
  // The page sends the same key when it retries, so nothing is announced twice.
  const key = request.headers.get("Idempotency-Key") ?? crypto.randomUUID();
  const message = JSON.stringify({ from, text: body });
  const mentioned = new Set([...body.matchAll(/@(\w{1,20})\b/g)].map(([, name]) => `user/${name}`));
  for (const channel of ["board", ...[...mentioned].slice(0, MOST_MENTIONS)]) {
    const response = await announce(channel, message, `${from}:${key}`, request, env, secret);
    if (!response.ok) return response;
  }
  return new Response(null, { status: 204 });
}

/** Announces a message as the site, whose token is valid for this channel and a minute. */
async function announce(channel: string, body: string, key: string, { url }: Request, env: Env, secret: Uint8Array) {
  const token = await sign("site", { announce: [channel] }, "1m", secret);
  const request = new Request(new URL(`/live/${encodeURIComponent(channel)}`, url), {
    method: "POST",
    headers: { Authorization: `Bearer ${token}`, "Idempotency-Key": key },
    body,
  });
  return mount("/live", request, env) ?? text(500, "Fanout isn't mounted at /live");
}

/** Reads a request's body; returns undefined if it is too long, or doesn't say how long it is. */
async function bodyOf(request: Request): Promise<string | undefined> {
  const length = Number(request.headers.get("Content-Length") ?? Number.NaN);
  return length <= LONGEST ? request.text() : undefined;
}

function text(status: number, sentence: string): Response {
  return new Response(`${sentence}\n`, { status });
}
