/** `fanout doctor`: checks a server, and prints one line per finding. */
import { access } from "../doctor/access.ts";
import { bad, type Check, type Finding, formatFinding, note } from "../doctor/findings.ts";
import { hardening } from "../doctor/hardening.ts";
import { httpDelivery } from "../doctor/http-delivery.ts";
import { retention } from "../doctor/retention.ts";
import { serverSettings } from "../doctor/server-settings.ts";
import { type Target, targetAt } from "../doctor/target.ts";
import { timing, transcripts } from "../doctor/transcripts.ts";
import { DONE, messageOf, UNHEALTHY, UNREACHABLE } from "../exits.ts";
import { print } from "../output.ts";
import { type ServerOptions, within } from "../server.ts";

/** In an order in which later checks may rely on earlier ones. */
const CHECKS = [access, transcripts, retention, httpDelivery, timing, serverSettings, hardening].flat();

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
    return await within(end - performance.now(), check.run(target), () => new Error("not finished after a minute"));
  } catch (error) {
    return bad(`${messageOf(error)}; ${remedy}`);
  }
}
