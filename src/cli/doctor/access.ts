/** Whether a server is there, what it says of itself, and who may come in. */
import { parseAddress } from "../../client/address.ts";
import { environmentOf } from "../../client/environment.ts";
import { probe } from "../../client/http.ts";
import { clauseOf } from "../../protocol/errors.ts";
import { bad, type Check, note, ok } from "./findings.ts";
import { CHANNELS, newChannel, type Patient } from "./target.ts";
import { askToUpgrade } from "./upgrade.ts";

const GIVE_A_TOKEN = `give one that may subscribe to and announce on '${CHANNELS}*', in FANOUT_TOKEN or --token-file`;

const LOCAL = ["localhost", "127.0.0.1", "[::1]"];

export const reachable: Check = {
  name: "reachable",
  isVital: true,
  remedy: "look at the address, and whether it is deployed",
  async look(patient) {
    const began = performance.now();
    const response = await patient.page("health").catch((error: unknown) => {
      throw new Error(`it cannot be reached (${causeOf(error)})`);
    });
    patient.has.add("answers");
    const said = (await response.text()).trim();
    const took = `in ${(performance.now() - began).toFixed(0)} ms`;
    if (response.status !== 200 || said !== "ok") {
      const [line] = said.split("\n");
      return bad(`/-/health answers ${response.status}: ${line}; mend that, or look at the address`);
    }
    const { protocol, hostname } = new URL(patient.address.url);
    if (/wss|https/.test(protocol)) return ok(`it answers, over TLS, ${took}`);
    if (LOCAL.includes(hostname)) return ok(`it answers, on this machine, ${took}`);
    return note(`it answers, ${took}, but without TLS: others can read along on the way`);
  },
};

/** `fetch` says only that it has failed; what has is in the cause. */
function causeOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  if (!(cause instanceof Error)) return String(cause);
  // Where a name has several addresses of which none answers, the error has a code only.
  return cause.message || ("code" in cause ? String(cause.code) : cause.name);
}

export const itself: Check = {
  name: "itself",
  remedy: "see /-/info, and in its log (npx wrangler tail) what fails there",
  async look(patient) {
    const response = await patient.page("info");
    if (response.status === 401) return note("without a good token it tells nothing of itself");
    if (response.status === 403) return note("its figures are for tokens with the claim 'operate'");
    const figures = await figuresIn(response);
    const figure = (key: string) => figures.get(key) ?? "?";
    return ok(
      `${figure("current connections")} connections and ${figure("current channels")} channels now, up for ${figure("uptime")}`,
    );
  },
};

async function figuresIn(response: Response): Promise<Map<string, string>> {
  if (response.status !== 200) throw new Error(`/-/info answers ${response.status}`);
  const figures: [string, unknown][] = Object.entries(JSON.parse(await response.text()));
  return new Map(figures.map(([key, value]) => [key, key === "uptime" ? `${value} s` : String(value)]));
}

export const tokens: Check = {
  name: "tokens",
  isVital: true,
  remedy: "see in its log (npx wrangler tail) what fails there",
  async look({ address, patience, request }) {
    const channel = newChannel();
    const stranger = { ...address, token: undefined };
    const { status } = await askToUpgrade(stranger, channel, patience).catch(() => ({ status: 0 }));
    if (status === 101) return note("none is needed: anyone may listen and announce; TOKEN_SECRET closes it");
    if (status !== 401)
      return note(`whether one is needed cannot be told (an upgrade gets ${status || "no answer"})`);
    if (address.token === undefined) {
      return bad(`one is needed, and none was given, so there is nothing more to see; ${GIVE_A_TOKEN}`);
    }
    const listening = await askToUpgrade(address, channel, patience);
    if (isRefusal(listening.status)) return bad(`${clauseOf(listening.said)}; ${GIVE_A_TOKEN}`);
    const announcing = await request(channel, { method: "POST", body: "may I?" });
    const said = (await announcing.text()).trim();
    if (isRefusal(announcing.status)) return bad(`${clauseOf(said)}; ${GIVE_A_TOKEN}`);
    return ok("one is needed (401 without), and this one may do what is tried here");
  },
};

function isRefusal(status: number): boolean {
  return status === 401 || status === 403;
}

export const sockets: Check = {
  name: "WebSockets",
  remedy: "see in its log (npx wrangler tail) what fails there",
  async look(patient) {
    const channel = newChannel();
    const began = performance.now();
    try {
      const wire = await patient.wire(channel);
      wire.close();
    } catch (error) {
      return bad(`${error instanceof Error ? error.message : error}; ${await whyNot(patient, channel)}`);
    }
    patient.has.add("sockets");
    return ok(`one opens, and is greeted, in ${(performance.now() - began).toFixed(0)} ms`);
  },
};

/** What HTTP tells of a WebSocket that does not open. */
async function whyNot({ address, patience }: Patient, channel: string): Promise<string> {
  const answer = await askToUpgrade(address, channel, patience).catch(() => undefined);
  const refused = await probe(environmentOf({}), parseAddress(address.url), address.token, channel);
  const upgrade = answer
    ? `the upgrade gets ${answer.status} ${clauseOf(answer.said)}`.trim()
    : "the upgrade gets no answer";
  const fallback = refused
    ? `requests get ${refused.status} ${refused.why}`
    : "requests get through, so clients can do without";
  return `${upgrade}, and ${fallback}; whatever is in front has to let upgrades through`;
}
