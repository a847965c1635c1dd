/** Checks the items of the hardening checklist in SECURITY.md that are visible from outside. */
import { urlOf } from "../address.ts";
import { claimsIn } from "./claims.ts";
import { check, note, ok } from "./findings.ts";
import { settingsCheck } from "./server-settings.ts";
import { newChannel } from "./target.ts";
import { requestUpgrade } from "./upgrade.ts";

/** An origin that no server allows, because its domain is reserved (RFC 2606). */
const FOREIGN_ORIGIN = "https://fanout-doctor.invalid";

/** Longest lifetime of a token according to the checklist, in seconds. */
const MAX_LIFETIME = 86_400;

/** Most lines per second according to the checklist. */
const MAX_LINES = 1_000;

/** Rows per day that the free plan includes. */
const FREE_ROWS = 100_000;

const SECONDS_A_DAY = 86_400;

/** Least uptime for which a rate of rows is meaningful, in seconds: the doctor itself writes some. */
const MIN_UPTIME = 3_600;

export const hardening = [
  check("origins", { remedy: "see the server's log (npx wrangler tail)" }, async ({ request }) => {
    const { status } = await request("", { headers: { Origin: FOREIGN_ORIGIN } });
    if (status === 403) return ok("pages of other sites are refused");
    return note("pages of any site may connect; set ALLOWED_ORIGINS to restrict them");
  }),
  check("grants", { remedy: "" }, async ({ address: { token } }) => {
    if (token === undefined) return undefined;
    const { exp, aud, announce, enter, sub, operate } = claimsIn(token);
    const faults: string[] = [];
    if (typeof exp !== "number" || exp * 1_000 > Date.now() + MAX_LIFETIME * 1_000) {
      faults.push("is valid for more than a day");
    }
    if (aud === undefined) faults.push("has no audience, so it is valid at all servers with its secret");
    if (Array.isArray(announce) && announce.includes("*")) faults.push("may announce on every channel");
    if (Array.isArray(enter) && enter.length > 0 && sub === undefined) {
      faults.push("may enter under any name, because it has no claim 'sub'");
    }
    if (operate === true) faults.push("may see the operators' pages");
    if (faults.length === 0) return ok("your token is short-lived, and grants only named channels");
    return note(`your token ${faults.join("; ")}; don't give such tokens to users`);
  }),
  settingsCheck("exposure", ({ settings: { CLIENT_LIMIT, LINES_PER_SECOND } }) => {
    const faults: string[] = [];
    if (CLIENT_LIMIT === 0) faults.push("CLIENT_LIMIT allows any number of connections");
    if (Number(LINES_PER_SECOND) > MAX_LINES) {
      faults.push(`LINES_PER_SECOND allows ${LINES_PER_SECOND}; ${MAX_LINES} are enough for most servers`);
    }
    return faults.length === 0 ? ok("connections and lines are limited") : note(faults.join("; "));
  }),
  check("encryption", { remedy: "" }, async ({ address, timeout }) => {
    const secure = urlOf(address, "");
    if (!secure.startsWith("https:")) return undefined;
    const asked = { redirect: "manual", signal: AbortSignal.timeout(timeout) } as const;
    const answer = await fetch(`${secure.replace(/^https/, "http")}-/health`, asked).catch(() => undefined);
    if (answer?.status !== 200) return ok("the server can't be reached without TLS");
    return note("the server answers without TLS too; redirect http:// to https://");
  }),
  check(
    "compression",
    { remedy: "check the proxy in front of the server", needs: "sockets" },
    async ({ address, timeout }) => {
      const offer = { "Sec-WebSocket-Extensions": "permessage-deflate" };
      const { status, extensions } = await requestUpgrade(address, newChannel(), timeout, offer);
      if (status !== 101) return note(`can't tell whether frames are compressed: an upgrade gets ${status}`);
      if (extensions === "") return ok("frames aren't compressed");
      return note(`frames are compressed (${extensions}), so the length of a frame can reveal secrets`);
    },
  ),
  check("rows", { remedy: "see /-/metrics" }, async (target) => {
    const response = await target.page("metrics");
    if (response.status !== 200) {
      return note("the number of written rows needs a token with the claim 'operate'");
    }
    const metrics = await response.text();
    const figure = (name: string) => Number(new RegExp(`^fanout_${name} (\\S+)$`, "m").exec(metrics)?.[1]);
    const [written, seconds] = [figure("rows_written_total"), Date.now() / 1_000 - figure("start_time_seconds")];
    if (!Number.isFinite(written / seconds)) return note("the server doesn't report the number of written rows");
    if (seconds < MIN_UPTIME) return ok(`${written} written so far; run this again when the server is an hour old`);
    const refused = figure("rows_refused_total");
    if (refused > 0) return note(`storage has refused ${refused} rows; see docs/runbook.md`);
    const daily = Math.round((written / seconds) * SECONDS_A_DAY);
    const rate = `${daily.toLocaleString("en")} per day at the current rate`;
    const included = `${FREE_ROWS.toLocaleString("en")} of the free plan`;
    return daily <= FREE_ROWS ? ok(`${rate}, within the ${included}`) : note(`${rate}, more than the ${included}`);
  }),
];
