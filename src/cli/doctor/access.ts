/** Checks that the server is reachable, that it accepts the token, and that WebSockets open. */
import { parseAddress } from "../../client/address.ts";
import { environmentOf } from "../../client/environment.ts";
import { probe } from "../../client/http.ts";
import { clauseOf } from "../../protocol/errors.ts";
import { messageOf } from "../exits.ts";
import { bad, check, note, ok } from "./findings.ts";
import { CHANNELS, newChannel, type Target } from "./target.ts";
import { requestUpgrade } from "./upgrade.ts";

const TOKEN_REMEDY = `give a token that may subscribe to and announce on '${CHANNELS}*', in FANOUT_TOKEN or --token-file`;

const LOG_REMEDY = "see the server's log (npx wrangler tail)";

const LOCAL = ["localhost", "127.0.0.1", "[::1]"];

/** Returns the cause of an error of `fetch`, whose own message is always the same. */
function causeOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  if (!(cause instanceof Error)) return String(cause);
  // If none of a host's addresses answers, the error has a code and no message.
  return cause.message || ("code" in cause ? String(cause.code) : cause.name);
}

function isRefusal(status: number): boolean {
  return status === 401 || status === 403;
}

/** Describes by HTTP requests why a WebSocket doesn't open. */
async function describeFailure({ address, timeout }: Target, channel: string): Promise<string> {
  const answer = await requestUpgrade(address, channel, timeout).catch(() => undefined);
  const refused = await probe(environmentOf({}), parseAddress(address.url), address.token, channel);
  const upgrade = answer
    ? `the upgrade gets ${answer.status} ${clauseOf(answer.reason)}`.trim()
    : "the upgrade gets no answer";
  const fallback = refused
    ? `requests get ${refused.status} ${refused.why}`
    : "requests get through, so clients can use HTTP";
  return `${upgrade}, and ${fallback}; have the proxy in front of the server forward upgrades`;
}

export const access = [
  check(
    "reachable",
    { remedy: "check the address, and whether the server is deployed", isVital: true },
    async (target) => {
      const began = performance.now();
      const response = await target.page("health").catch((error: unknown) => {
        throw new Error(`the server can't be reached (${causeOf(error)})`);
      });
      target.has.add("answers");
      const body = (await response.text()).trim();
      const took = `in ${(performance.now() - began).toFixed(0)} ms`;
      if (response.status !== 200 || body !== "ok") {
        const [line] = body.split("\n");
        return bad(`/-/health answers ${response.status}: ${line}; fix that, or check the address`);
      }
      const { protocol, hostname } = new URL(target.address.url);
      if (/wss|https/.test(protocol)) return ok(`answers over TLS, ${took}`);
      if (LOCAL.includes(hostname)) return ok(`answers on this machine, ${took}`);
      return note(`answers ${took}, but without TLS, so the network can read everything`);
    },
  ),
  check("info", { remedy: "see /-/info, and the server's log (npx wrangler tail)" }, async (target) => {
    const response = await target.page("info");
    if (response.status === 401) return note("the statistics need a valid token");
    if (response.status === 403) return note("the statistics need a token with the claim 'operate'");
    if (response.status !== 200) throw new Error(`/-/info answers ${response.status}`);
    const figures: Record<string, unknown> = JSON.parse(await response.text());
    const figure = (key: string) => figures[key] ?? "?";
    const uptime = "uptime" in figures ? `${figures.uptime} s` : "?";
    return ok(
      `${figure("current connections")} connections and ${figure("current channels")} channels now, up for ${uptime}`,
    );
  }),
  check("tokens", { remedy: LOG_REMEDY, isVital: true }, async ({ address, timeout, request }) => {
    const channel = newChannel();
    const stranger = { ...address, token: undefined };
    const { status } = await requestUpgrade(stranger, channel, timeout).catch(() => ({ status: 0 }));
    if (status === 101) {
      return note("not needed: anyone may subscribe, announce and enter; set TOKEN_SECRET to require tokens");
    }
    if (status !== 401) {
      return note(`can't tell whether they are needed (an upgrade gets ${status || "no answer"})`);
    }
    if (address.token === undefined) {
      return bad(`required, but none was given, so the other checks can't run; ${TOKEN_REMEDY}`);
    }
    const subscribing = await requestUpgrade(address, channel, timeout);
    if (isRefusal(subscribing.status)) return bad(`${faultOf(subscribing.reason)}; ${TOKEN_REMEDY}`);
    const announcing = await request(channel, { method: "POST", body: "may I?" });
    const reason = (await announcing.text()).trim();
    if (isRefusal(announcing.status)) return bad(`${faultOf(reason)}; ${TOKEN_REMEDY}`);
    return ok("required (401 without), and yours grants what these checks need");
  }),
  check("WebSockets", { remedy: LOG_REMEDY }, async (target) => {
    const channel = newChannel();
    const began = performance.now();
    try {
      (await target.socket(channel)).close();
    } catch (error) {
      return bad(`${messageOf(error)}; ${await describeFailure(target, channel)}`);
    }
    target.has.add("sockets");
    return ok(`one opened, and received the greeting, in ${(performance.now() - began).toFixed(0)} ms`);
  }),
];

/** Returns the fault in a refusal, without the remedy for clients. */
function faultOf(reason: string): string {
  const [fault = ""] = clauseOf(reason).split(";");
  return fault;
}
