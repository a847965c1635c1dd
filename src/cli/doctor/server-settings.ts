/** Checks the server's version and reports its limits. */
import { VERSION } from "../../version.ts";
import { type Check, check, type Finding, note, ok } from "./findings.ts";

interface ServerSettings {
  version: string;
  settings: Record<string, unknown>;
}

/** Returns a check of the server's settings. */
export function settingsCheck(name: string, run: (known: ServerSettings) => Finding): Check {
  return check(name, { remedy: "see /-/settings" }, async (target) => {
    const response = await target.page("settings");
    if (response.status === 401 || response.status === 403) return note("this needs a token with the claim 'operate'");
    if (response.status === 404) return note("unknown, because the server is older than this program");
    const known: unknown = await response.json();
    if (isServerSettings(known)) return run(known);
    throw new Error(`/-/settings answers ${response.status} without settings`);
  });
}

function isServerSettings(known: unknown): known is ServerSettings {
  if (typeof known !== "object" || known === null || !("version" in known && "settings" in known)) return false;
  return typeof known.version === "string" && typeof known.settings === "object" && known.settings !== null;
}

export const serverSettings = [
  settingsCheck("version", ({ version }) => {
    if (version === VERSION) return ok(`${VERSION}, the same as this program`);
    return note(`${version}; this program is ${VERSION}, so some findings may be wrong`);
  }),
  settingsCheck("limits", ({ settings }) => {
    const most = settings.CLIENT_LIMIT === 0 ? "any number of" : `${settings.CLIENT_LIMIT}`;
    const lines = `${settings.LINES_PER_SECOND} lines per second each, of up to ${settings.MAX_LINE_BYTES} bytes`;
    const history =
      settings.HISTORY_SECONDS === 0
        ? "no history"
        : `history of ${settings.HISTORY_SECONDS} s, ${settings.HISTORY_BYTES} bytes per channel`;
    return ok(`${most} connections; ${lines}; ${history}`);
  }),
];
