/** Pages for operators, at paths that begin with `/-/`. */
import { MAX_SUBJECT_BYTES, mayOperate, maySeeNames } from "../../auth/grants.ts";
import { EVERYONE } from "../../protocol/channels.ts";
import { NOT_OPERATOR } from "../../protocol/refusals.ts";
import { isLongerThan } from "../../protocol/text.ts";
import type { TreeDescription } from "../../runtime/calls.ts";
import { channelOf } from "../../runtime/object-names.ts";
import { isRecord } from "../../runtime/rows.ts";
import { infoOf } from "../../stats/info.ts";
import { formatMetrics } from "../../stats/metrics.ts";
import { VERSION } from "../../version.ts";
import { admit } from "../admission.ts";
import { stubOf, WORKER_HOPS } from "../calls.ts";
import { channelIn } from "../channel-path.ts";
import { Denial } from "../denial.ts";
import { checkObjects } from "../deployment.ts";
import type { Env } from "../env.ts";
import { withBody } from "../http/bodies.ts";
import { chargeAddress, OBJECT_COST } from "../rate-limit.ts";
import { json, text } from "../responses.ts";
import { noteRevocation } from "../revoked.ts";
import { publicSettings, type Settings } from "../settings.ts";
import { ask } from "./ask.ts";
import { listChannels, parseWanted } from "./channels.ts";

const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";
const CHANNEL = "/-/channels";
const REVOKE = "/-/revoke";
const METHODS = "GET, HEAD, OPTIONS";
const PAGES =
  "/-/client.js, /-/health, /-/settings, /-/info, /-/metrics, /-/channels, /-/channels/<channel> and, with POST, /-/revoke";

/**
 * Answers a request for an operators' page.
 * @throws Denial if the request is refused
 */
export async function operate(request: Request, env: Env, path: string, settings: Settings): Promise<Response> {
  const isRevocation = path === REVOKE;
  if (isRevocation ? request.method !== "POST" : request.method !== "GET" && request.method !== "HEAD") {
    const why = isRevocation ? "revoking takes POST" : "this path is read-only; use GET";
    throw new Denial(405, "invalid", why, { Allow: isRevocation ? "POST, OPTIONS" : METHODS });
  }
  // Public, because it reveals nothing.
  if (path === "/-/health") return health(env);
  const page = isRevocation ? revokePage(request) : pageOf(path, new URL(request.url).searchParams);
  const grants = await admit(request, env, settings);
  if (!mayOperate(grants)) throw new Denial(403, "forbidden", NOT_OPERATOR, {}, grants?.sub);
  if (page !== settingsPage) chargeAddress(request, OBJECT_COST, settings.limits.linesPerSecond);
  return page(env, settings, maySeeNames(grants));
}

/** @param withNames whether the client may see the names of all channels */
type Page = (env: Env, settings: Settings, withNames: boolean) => Promise<Response>;

function pageOf(path: string, query: URLSearchParams): Page {
  if (path === "/-/settings") return settingsPage;
  if (path === "/-/info") return async (env, { limits }) => json(200, await info(env, limits.clientLimit));
  if (path === "/-/metrics") return metrics;
  if (path === CHANNEL) return channelsPage(query);
  if (path.startsWith(`${CHANNEL}/`)) return channelPage(channelIn(path.slice(CHANNEL.length)));
  throw new Denial(404, "invalid", `there is no such page; the pages are ${PAGES}`);
}

function channelsPage(query: URLSearchParams): Page {
  return (env, _, withNames) => {
    if (withNames) return listChannels(env, parseWanted(query));
    throw new Denial(403, "forbidden", "channel names are shown only to tokens with the claim 'operate'");
  };
}

/** @throws SettingError if the Worker can't call objects */
async function health(env: Env): Promise<Response> {
  // An object that is asked to describe another channel answers by itself, without asking further objects.
  const call = (object: string) => stubOf(env, object).call("describe", { channel: `${object}!` }, WORKER_HOPS);
  await checkObjects(env, call);
  return text(200, "ok\n");
}

async function settingsPage(_: Env, settings: Settings, withNames: boolean): Promise<Response> {
  const { HISTORY_CHANNELS, ...others } = publicSettings(settings);
  const isPublic = withNames || HISTORY_CHANNELS === "*";
  return json(200, { version: VERSION, settings: isPublic ? { HISTORY_CHANNELS, ...others } : others });
}

/** Returns the statistics of the service. */
export async function info(env: Env, clientLimit: number): Promise<Record<string, number>> {
  return infoOf(await ask(env, EVERYONE, "serviceFigures", undefined), clientLimit, Date.now());
}

async function metrics(env: Env): Promise<Response> {
  const figures = await ask(env, EVERYONE, "serviceFigures", undefined);
  return text(200, formatMetrics(figures), { "Content-Type": METRICS_TYPE });
}

function channelPage(channel: string): Page {
  return async (env, _, withNames) => {
    const tree = await ask(env, channel, "describe", { channel });
    return json(200, treeOf(channel, withNames ? tree : withoutNames(channel, tree)));
  };
}

/** Revokes the tokens of the subject that the body names. */
function revokePage(request: Request): Page {
  return async (env, { tokens }) => {
    if (!tokens) throw new Denial(400, "invalid", "this server has no tokens; set TOKEN_SECRET or TOKEN_JWKS_URL");
    const sub = await withBody(request, async (body) => subjectIn(body));
    const answer = await ask(env, EVERYONE, "revoke", { sub });
    if ("limit" in answer) {
      const why = `${answer.limit} subjects are revoked already; with TOKEN_MAX_SECONDS, they are forgotten sooner`;
      throw new Denial(400, "limit", why);
    }
    const { revocation, objects, unreachable } = answer;
    noteRevocation(env, revocation);
    return json(200, { sub, before: revocation.before, objects, unreachable });
  };
}

const NO_SUBJECT = 'the body has to be JSON that names the claim \'sub\' of the tokens, such as {"sub": "ann"}';

/** @throws Denial if the body isn't `{"sub": "…"}` */
function subjectIn(body: Uint8Array): string {
  const sub = parsed(body);
  if (typeof sub !== "string" || sub === "") throw new Denial(400, "invalid", NO_SUBJECT);
  if (isLongerThan(sub, MAX_SUBJECT_BYTES)) {
    throw new Denial(400, "invalid", `the claim 'sub' of a token has at most ${MAX_SUBJECT_BYTES} bytes`);
  }
  return sub;
}

function parsed(body: Uint8Array): unknown {
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(body));
    return isRecord(value) ? value.sub : undefined;
  } catch {
    return undefined;
  }
}

/** Objects are named after their clients' channels; numbers replace the names of other channels' objects. */
function withoutNames(channel: string, { objects, ...tree }: TreeDescription): TreeDescription {
  const numbers = new Map(objects.map(({ object }, i) => [object, `object ${i + 1}`]));
  const anonymized = (object: string) =>
    channelOf(object) === channel ? object : (numbers.get(object) ?? "another object");
  const anonymous = objects.map(({ object, parent, ...figures }) => ({
    ...figures,
    object: anonymized(object),
    ...(parent === undefined ? {} : { parent: anonymized(parent) }),
  }));
  return { ...tree, objects: anonymous };
}

/** Returns a channel's tree, with the number of messages that each object lags behind the root. */
function treeOf(channel: string, { objects, omitted, unreachable, kept }: TreeDescription) {
  const newest = objects[0]?.position;
  const members = objects.map(({ object, parent, listeners, position }) => {
    const lag = newest === undefined || position === undefined ? null : newest - position;
    return { object, parent: parent ?? null, listeners, lag };
  });
  const listeners = objects.reduce((sum, object) => sum + object.listeners, 0);
  const known = { position: newest ?? null, kept: kept ?? null };
  return { channel, listeners, ...known, objects: members, omitted, unreachable };
}
