/** The items of the hardening checklist in SECURITY.md that can be seen from outside. */
import { urlOf } from "../address.ts";
import { type Check, note, ok } from "./findings.ts";
import { inForce } from "./server-settings.ts";
import { newChannel } from "./target.ts";
import { askToUpgrade } from "./upgrade.ts";

/** An origin that no server allows: the domain is reserved, RFC 2606. */
const STRANGE = "https://fanout-doctor.invalid";

/** Longest life of a token that the checklist allows, in seconds. */
const LONGEST = 86_400;

/** Most lines a second that the checklist allows. */
const MOST_LINES = 1_000;

/** Rows that the free plan includes each day. */
const FREE_ROWS = 100_000;

const SECONDS_A_DAY = 86_400;

/** Seconds after which the rate of rows isn't that of a few clients, as the doctor itself is one. */
const SHORTEST = 3_600;

export const origins: Check = {
  name: "origins",
  remedy: "see in its log (npx wrangler tail) what fails there",
  async look({ request }) {
    const { status } = await request("", { headers: { Origin: STRANGE } });
    if (status === 403) return ok("pages of other sites are refused");
    return note("pages of any site may use it; ALLOWED_ORIGINS names those that may");
  },
};

export const grants: Check = {
  name: "grants",
  remedy: "",
  async look({ address: { token } }) {
    if (token === undefined) return undefined;
    const { exp, aud, announce, operate } = claimsIn(token);
    const faults: string[] = [];
    if (typeof exp !== "number" || exp * 1_000 > Date.now() + LONGEST * 1_000) {
      faults.push("it is valid for more than a day");
    }
    if (aud === undefined) faults.push("it has no audience, so it is valid at all servers with its secret");
    if (Array.isArray(announce) && announce.includes("*")) faults.push("it may announce on every channel");
    if (operate === true) faults.push("it may operate the server");
    if (faults.length === 0) return ok("your token is short-lived, and grants what it names");
    return note(`${faults.join("; ")}: no token for users should be like that`);
  },
};

/** What a token claims; no more than a note depends on it, so nobody has to verify it. */
function claimsIn(token: string): Record<string, unknown> {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString());
    return typeof claims === "object" && claims !== null ? { ...claims } : {};
  } catch {
    return {};
  }
}

export const exposure: Check = {
  name: "exposure",
  remedy: "see /-/settings",
  async look(patient) {
    const told = await inForce(patient);
    if (typeof told === "string") return note(told);
    const { CLIENT_LIMIT, LINES_PER_SECOND } = told.settings;
    const faults: string[] = [];
    if (CLIENT_LIMIT === 0) faults.push("CLIENT_LIMIT allows any number of connections");
    if (Number(LINES_PER_SECOND) > MOST_LINES) {
      faults.push(`LINES_PER_SECOND allows ${LINES_PER_SECOND}, where ${MOST_LINES} are enough for most`);
    }
    return faults.length === 0 ? ok("connections and lines are limited") : note(faults.join("; "));
  },
};

export const encryption: Check = {
  name: "encryption",
  remedy: "",
  async look({ address, patience }) {
    const secure = urlOf(address, "http", "", {});
    if (!secure.startsWith("https:")) return undefined;
    const asked = { redirect: "manual", signal: AbortSignal.timeout(patience) } as const;
    const answer = await fetch(`${secure.replace(/^https/, "http")}-/health`, asked).catch(() => undefined);
    if (answer?.status !== 200) return ok("without TLS it can't be reached");
    return note("it answers without TLS, too; have http:// redirect to https://");
  },
};

export const compression: Check = {
  name: "compression",
  needs: "sockets",
  remedy: "see what is in front of it",
  async look({ address, patience }) {
    const offer = { "Sec-WebSocket-Extensions": "permessage-deflate" };
    const { status, extensions } = await askToUpgrade(address, newChannel(), patience, offer);
    if (status !== 101) return note(`whether frames are compressed can't be told: an upgrade gets ${status}`);
    if (extensions === "") return ok("frames aren't compressed");
    return note(`frames are compressed (${extensions}), which lets others guess secrets by their length`);
  },
};

export const rows: Check = {
  name: "rows",
  remedy: "see /-/metrics",
  async look(patient) {
    const response = await patient.page("metrics");
    if (response.status !== 200) {
      return note("only a token with the claim 'operate' sees how many rows are written");
    }
    const metrics = await response.text();
    const figure = (name: string) => Number(new RegExp(`^fanout_${name} (\\S+)$`, "m").exec(metrics)?.[1]);
    const [written, seconds] = [
      figure("rows_written_total"),
      Date.now() / 1_000 - figure("start_time_seconds"),
    ];
    if (!Number.isFinite(written / seconds)) return note("it doesn't tell how many rows are written");
    if (seconds < SHORTEST) return ok(`${written} so far; after an hour, their rate says something`);
    const daily = Math.round((written / seconds) * SECONDS_A_DAY);
    const rate = `${daily.toLocaleString("en")} a day at the rate so far`;
    const included = `${FREE_ROWS.toLocaleString("en")} of the free plan`;
    return daily <= FREE_ROWS
      ? ok(`${rate}, of the ${included}`)
      : note(`${rate}, more than the ${included}`);
  },
};
