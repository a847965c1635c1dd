/** Checks who may use a deployed server. Opening it to everyone takes `--open`. */
import { Exit, USAGE } from "../exits.ts";
import { requiredIn, SECRETS_FILE, type Variables, valueIn } from "./secrets.ts";

/** Bytes that a secret needs to sign tokens. */
const SECRET_BYTES = 32;

/** @throws Exit if the file's secret would leave the server open or broken, or contradicts `--open` */
export function checkSecret(secrets: Variables, isOpen: boolean): void {
  if (!("TOKEN_SECRET" in secrets)) return;
  if (new TextEncoder().encode(secrets.TOKEN_SECRET).length < SECRET_BYTES) {
    throw new Exit(
      USAGE,
      `TOKEN_SECRET in ${SECRETS_FILE} is short; it takes ${SECRET_BYTES} bytes or more, as from: openssl rand -base64 32`,
    );
  }
  if (isOpen) throw new Exit(USAGE, `${SECRETS_FILE} has a TOKEN_SECRET; remove it, or leave out --open`);
}

/** @throws Exit if the server would be open without `--open`, or if its configuration contradicts `--open` */
export function checkAccess(configuration: unknown, file: string, secrets: Variables, isOpen: boolean): void {
  const isClosed = requiresTokens(configuration) || "TOKEN_SECRET" in secrets;
  if (isOpen && isClosed) {
    throw new Exit(USAGE, `${file} sets TOKEN_JWKS_URL or requires TOKEN_SECRET; remove that, or leave out --open`);
  }
  if (!isOpen && !isClosed) {
    throw new Exit(
      USAGE,
      `everyone could use this server; add [secrets] with required = ["TOKEN_SECRET"] to ${file}, or use --open`,
    );
  }
}

/** Whether a server with this configuration requires tokens, whatever its secrets are. */
export function requiresTokens(configuration: unknown): boolean {
  return requiredIn(configuration).includes("TOKEN_SECRET") || Boolean(settingIn(configuration, "TOKEN_JWKS_URL"));
}

/** Returns a setting; undefined if it isn't set. */
export function settingIn(configuration: unknown, name: string): unknown {
  return valueIn(valueIn(configuration, "vars"), name);
}
