/** `fanout doctor`: checks a server, and prints one line per finding. */
import { info, reachable, sockets, tokens } from "../doctor/access.ts";
import { bad, type Check, type Finding, formatFinding, note } from "../doctor/findings.ts";
import { compression, encryption, exposure, grants, origins, rows } from "../doctor/hardening.ts";
import { events, post } from "../doctor/http-delivery.ts";
import { history, once, resume } from "../doctor/retention.ts";
import { limits, version } from "../doctor/server-settings.ts";
import { type Target, targetAt } from "../doctor/target.ts";
import { announce, barrier, clock, latency, mistake, ping } from "../doctor/transcripts.ts";
import { DONE, UNHEALTHY, UNREACHABLE } from "../exits.ts";
import { print } from "../output.ts";
import type { ServerOptions } from "../server.ts";

/** In an order in which later checks may rely on earlier ones. */
const CHECKS: Check[] = [
  reachable,
  info,
  tokens,
  sockets,
  ping,
  announce,
  barrier,
  mistake,
  history,
  once,
  resume,
  post,
  events,
  latency,
  clock,
  version,
  limits,
  origins,
  grants,
  exposure,
  encryption,
  compression,
  rows,
];

/** Timeout of all checks together, in milliseconds. */
const TOTAL_TIMEOUT = 55_000;

/** Why a check was skipped, by the capability that the server lacks. */
const LACKS = {
  answers: "nothing answers",
  sockets: "no WebSocket opens",
  history: "no messages are retained",
};

/** @returns the exit code */
export async function doctor(url: string, options: ServerOptions): Promise<number> {
  const target = targetAt(url, options);
  const end = performance.now() + TOTAL_TIMEOUT;
  let code = DONE;
  for (const check of CHECKS) {
    const finding = await findingOf(check, target, end);
    if (!finding) continue;
    await print(formatFinding(check.name, finding));
    if (finding.grade !== "bad") continue;
    code = target.has.has("answers") ? UNHEALTHY : UNREACHABLE;
    if (check.isVital) break;
  }
  return code;
}

async function findingOf(check: Check, target: Target, end: number): Promise<Finding | undefined> {
  const { needs, remedy } = check;
  if (performance.now() >= end) return bad("skipped, because a minute has passed; see which checks were slow");
  if (needs && !target.has.has(needs)) return note(`skipped, because ${LACKS[needs]}`);
  try {
    return await before(end, check.run(target));
  } catch (error) {
    return bad(`${error instanceof Error ? error.message : String(error)}; ${remedy}`);
  }
}

/** @throws Error if the work isn't done in time */
async function before<T>(end: number, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("not finished after a minute")), end - performance.now());
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
