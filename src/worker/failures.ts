/** Responses to failed requests. */
import { SettingError } from "../runtime/limits.ts";
import { tokenOf } from "./admission.ts";
import { Denial } from "./denial.ts";
import { denialAsEvents } from "./http/subscribe.ts";
import { log } from "./log.ts";
import { preflight } from "./origins.ts";
import { denied, ERROR, text } from "./responses.ts";

/** Returns the response to a failed request, and logs the failure for operators. */
export function failed(request: Request, error: unknown): Response {
  if (error instanceof Denial) {
    const { status, code, message, sub } = error;
    if (status === 401 || status === 403) log(`refused.${status}`, { code, why: message, sub });
    return denialAsEvents(request, error) ?? denied(error);
  }
  if (error instanceof SettingError) {
    log("failures.settings", { why: error.message });
    // Without a successful preflight, browsers would hide the error of the request that follows.
    if (request.method === "OPTIONS") return preflight(request);
    const sentence = `This server's settings are wrong: ${error.message}.\n`;
    return text(500, sentence, { [ERROR]: "unavailable" });
  }
  log("failures.request", { why: withoutToken(request, error) });
  return unexpected(request);
}

/** Most characters that are logged of an unexpected error. */
const MAX_LOGGED = 2_000;

/** Describes an error without the request's token, because the runtime might quote a header. */
function withoutToken(request: Request, error: unknown): string {
  const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return why.replaceAll(tokenOf(request) || "<token>", "<token>").slice(0, MAX_LOGGED);
}

function unexpected({ method }: Request): Response {
  const isAnnouncement = method === "POST";
  const sentence = isAnnouncement
    ? "An unexpected error occurred, so the announcement may be lost; the server's log has the cause.\n"
    : "An unexpected error occurred; the server's log has the cause.\n";
  return text(500, sentence, { [ERROR]: isAnnouncement ? "uncertain" : "unavailable" });
}
