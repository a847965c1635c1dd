/** What a server runs with: which version, and which limits. */
import { VERSION } from "../../version.ts";
import { type Check, note, ok } from "./findings.ts";
import type { Patient } from "./target.ts";

const REMEDY = "see /-/settings";

export interface InForce {
  version: string;
  settings: Record<string, unknown>;
}

export const version: Check = {
  name: "version",
  remedy: REMEDY,
  async look(patient) {
    const told = await inForce(patient);
    if (typeof told === "string") return note(told);
    if (told.version === VERSION) return ok(`${VERSION}, as this program is`);
    return note(
      `${told.version}, and this program is ${VERSION}; what only one of them knows cannot be judged`,
    );
  },
};

export const limits: Check = {
  name: "limits",
  remedy: REMEDY,
  async look(patient) {
    const told = await inForce(patient);
    if (typeof told === "string") return note(told);
    const { settings } = told;
    const most = settings.CLIENT_LIMIT === 0 ? "any number of" : `${settings.CLIENT_LIMIT}`;
    const lines = `${settings.LINES_PER_SECOND} lines a second of each, of ${settings.MAX_LINE_BYTES} bytes`;
    const kept =
      settings.HISTORY_SECONDS === 0
        ? "nothing is kept"
        : `kept for ${settings.HISTORY_SECONDS} s, ${settings.HISTORY_BYTES} characters a channel`;
    return ok(`${most} connections; ${lines}; ${kept}`);
  },
};

/** A string says why it does not tell. */
export async function inForce(patient: Patient): Promise<InForce | string> {
  const response = await patient.page("settings");
  if (response.status === 401 || response.status === 403)
    return "it tells only a token with the claim 'operate'";
  if (response.status === 404) return "it does not tell, as it is older than this program";
  const told: unknown = await response.json();
  if (isInForce(told)) return told;
  throw new Error(`/-/settings answers ${response.status} with something else`);
}

function isInForce(told: unknown): told is InForce {
  if (typeof told !== "object" || told === null || !("version" in told && "settings" in told)) return false;
  return typeof told.version === "string" && typeof told.settings === "object" && told.settings !== null;
}
