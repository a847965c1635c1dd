/** Responses to failed requests. */
import { SettingError } from "../runtime/limits.ts";
import { LOGGED_REFUSALS } from "../stats/tally.ts";
import { tokenOf } from "./admission.ts";
import { Denial } from "./denial.ts";
import { denialAsEvents } from "./http/subscribe.ts";
import { log } from "./log.ts";
import { preflight } from "./origins.ts";
import { denied, ERROR, text } from "./responses.ts";
import { count } from "./tally.ts";

/**
 * Returns the response to a failed request; logs and counts the failure for operators.
 * @param env the Worker's bindings
 * @param command what the request wanted to do
 */
export function failed(request: Request, env: object, error: unknown, command: string): Response {
  if (error instanceof Denial) {
    noteDenial(env, error, command);
    return denialAsEvents(request, error) ?? denied(error);
  }
  if (error instanceof SettingError) {
    logWrongSettings(error, command);
    // Without a successful preflight, browsers would hide the error of the request that follows.
    if (request.method === "OPTIONS") return preflight(request);
    const sentence = `This server's settings are wrong: ${error.message}.\n`;
    return text(500, sentence, { [ERROR]: "unavailable" });
  }
  const code = request.method === "POST" ? "uncertain" : "unavailable";
  log("failures.request", { status: 500, code, command, why: withoutToken(request, error) });
  count(env, "worker.request");
  count(env, `requests.${code}`);
  return unexpected(code);
}

/** Logs and counts a refused request. */
export function noteDenial(env: object, { status, code, message: why, sub }: Denial, command: string): void {
  if (LOGGED_REFUSALS.includes(code)) log(`refused.${code}`, { status, code, command, why, sub });
  count(env, `requests.${code}`);
}

/** Logs a request that failed because the settings are wrong. It isn't counted, because objects don't answer then. */
export function logWrongSettings({ message }: SettingError, command: string): void {
  log("failures.settings", { status: 500, code: "unavailable", command, why: message });
}

/** Most characters that are logged of an unexpected error. */
const MAX_LOGGED = 2_000;

/** Describes an error without the request's token, because the runtime might quote a header. */
function withoutToken(request: Request, error: unknown): string {
  const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return why.replaceAll(tokenOf(request) || "<token>", "<token>").slice(0, MAX_LOGGED);
}

function unexpected(code: "uncertain" | "unavailable"): Response {
  const sentence =
    code === "uncertain"
      ? "An unexpected error occurred, so the announcement may be lost; the server's log has the cause.\n"
      : "An unexpected error occurred; the server's log has the cause.\n";
  return text(500, sentence, { [ERROR]: code });
}
