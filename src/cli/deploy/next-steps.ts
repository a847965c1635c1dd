/** What to do with a server that has just been deployed. */
import { settingIn } from "./access.ts";
import { SECRETS_FILE, type Variables } from "./secrets.ts";

/** The token that the doctor needs. */
const TOKEN = "npx fanout token --operate --subscribe 'doctor-*' --announce 'doctor-*' --enter 'doctor-*'";

/**
 * @param targets addresses as Wrangler describes them
 * @param isOpen whether the server needs no tokens
 * @param secrets undefined without their file
 */
export function nextSteps(
  targets: string[],
  configuration: unknown,
  isOpen: boolean,
  secrets: Variables | undefined,
): string[] {
  const address = addressIn(targets);
  const place = address === undefined ? "Fanout is deployed" : `Fanout is deployed at ${address}`;
  const doctor = `  npx fanout doctor ${address ?? "wss://<its address>"}`;
  const isBound = settingIn(configuration, "ALLOWED_ORIGINS") === undefined;
  const origins = "To let pages of other sites connect, name them in ALLOWED_ORIGINS, under [vars], and deploy again.";
  return [
    "",
    ...(isOpen
      ? [`${place}, open to everyone who knows the address. Check it:`]
      : closed(place, configuration, secrets)),
    doctor,
    ...(isBound ? [origins] : []),
  ];
}

function closed(place: string, configuration: unknown, secrets: Variables | undefined): string[] {
  if (settingIn(configuration, "TOKEN_JWKS_URL")) {
    return [`${place}, and requires tokens. Check it with one for channels 'doctor-*':`, "  export FANOUT_TOKEN=…"];
  }
  return [
    `${place}, and requires tokens. Make one and check the server:`,
    secrets && "TOKEN_SECRET" in secrets ? `  export $(cat ${SECRETS_FILE})` : "  export TOKEN_SECRET=…",
    `  export FANOUT_TOKEN=$(${TOKEN})`,
  ];
}

/** Returns the first address that is a whole host, as clients use it. */
function addressIn(targets: string[]): string | undefined {
  for (const target of targets) {
    const host = /^https:\/\/([^/\s]+)\/?$/.exec(target)?.[1] ?? /^([^/\s*]+) \(custom domain/.exec(target)?.[1];
    if (host !== undefined) return `wss://${host}`;
  }
  return undefined;
}
