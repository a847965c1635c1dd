/** Checks the server's version and reports its limits. */
import { VERSION } from "../../version.ts";
import { type Check, note, ok } from "./findings.ts";
import type { Target } from "./target.ts";

const REMEDY = "see /-/settings";

export interface ServerSettings {
  version: string;
  settings: Record<string, unknown>;
}

export const version: Check = {
  name: "version",
  remedy: REMEDY,
  async run(target) {
    const known = await fetchSettings(target);
    if (typeof known === "string") return note(known);
    if (known.version === VERSION) return ok(`${VERSION}, the same as this program`);
    return note(`${known.version}; this program is ${VERSION}, so some findings may be wrong`);
  },
};

export const limits: Check = {
  name: "limits",
  remedy: REMEDY,
  async run(target) {
    const known = await fetchSettings(target);
    if (typeof known === "string") return note(known);
    const { settings } = known;
    const most = settings.CLIENT_LIMIT === 0 ? "any number of" : `${settings.CLIENT_LIMIT}`;
    const lines = `${settings.LINES_PER_SECOND} lines per second each, of up to ${settings.MAX_LINE_BYTES} bytes`;
    const history =
      settings.HISTORY_SECONDS === 0
        ? "no history"
        : `history of ${settings.HISTORY_SECONDS} s, ${settings.HISTORY_BYTES} bytes per channel`;
    return ok(`${most} connections; ${lines}; ${history}`);
  },
};

/** Returns the server's settings, or why they aren't available. */
export async function fetchSettings(target: Target): Promise<ServerSettings | string> {
  const response = await target.page("settings");
  if (response.status === 401 || response.status === 403) return "this needs a token with the claim 'operate'";
  if (response.status === 404) return "unknown, because the server is older than this program";
  const known: unknown = await response.json();
  if (isServerSettings(known)) return known;
  throw new Error(`/-/settings answers ${response.status} without settings`);
}

function isServerSettings(known: unknown): known is ServerSettings {
  if (typeof known !== "object" || known === null || !("version" in known && "settings" in known)) return false;
  return typeof known.version === "string" && typeof known.settings === "object" && known.settings !== null;
}
