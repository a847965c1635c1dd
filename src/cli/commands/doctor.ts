/** `fanout doctor`: whether a server does all that it should, a line for each finding. */
import { itself, reachable, sockets, tokens } from "../doctor/access.ts";
import { bad, type Check, type Finding, formatFinding, note } from "../doctor/findings.ts";
import { compression, encryption, exposure, grants, origins, rows } from "../doctor/hardening.ts";
import { events, post } from "../doctor/http-delivery.ts";
import { history, once, resume } from "../doctor/retention.ts";
import { limits, version } from "../doctor/server-settings.ts";
import { type Patient, patientAt } from "../doctor/target.ts";
import { announce, barrier, clock, latency, mistake, ping } from "../doctor/transcripts.ts";
import { DONE, ILL, UNREACHABLE } from "../exits.ts";
import { print } from "../output.ts";
import type { ServerOptions } from "../server.ts";

/** In the order in which they build on each other. */
const CHECKS: Check[] = [
  reachable,
  itself,
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

/** How long all of it may take, in milliseconds. */
const MOST = 55_000;

/** Why something cannot be looked at. */
const LACKS = { answers: "nothing answers", sockets: "no WebSocket opens", history: "no history is kept" };

/** @returns the exit code */
export async function doctor(url: string, options: ServerOptions): Promise<number> {
  const patient = patientAt(url, options);
  const end = performance.now() + MOST;
  let code = DONE;
  for (const check of CHECKS) {
    const finding = await findingOf(check, patient, end);
    if (!finding) continue;
    await print(formatFinding(check.name, finding));
    if (finding.grade !== "bad") continue;
    code = patient.has.has("answers") ? ILL : UNREACHABLE;
    if (check.isVital) break;
  }
  return code;
}

async function findingOf(check: Check, patient: Patient, end: number): Promise<Finding | undefined> {
  const { needs, remedy } = check;
  if (performance.now() >= end) return bad("left out, as the others took a minute; see what made them slow");
  if (needs && !patient.has.has(needs)) return note(`left out, as ${LACKS[needs]}`);
  try {
    return await before(end, check.look(patient));
  } catch (error) {
    return bad(`${error instanceof Error ? error.message : String(error)}; ${remedy}`);
  }
}

/** @throws Error if something is not done when the time is over */
async function before<T>(end: number, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error("a minute was over before it was done")),
      end - performance.now(),
    );
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
