/** Secrets are read from the environment or a file, because all users of a machine can see a program's arguments. */
import { readFileSync } from "node:fs";
import { Exit, messageOf, USAGE } from "./exits.ts";
import { remark } from "./output.ts";

/** Variables that the commands of `--exec` don't inherit. */
const SECRETS = ["FANOUT_TOKEN", "TOKEN_SECRET"];

/**
 * Returns the trimmed contents of a file, or else of an environment variable; undefined if both are missing or empty.
 * @throws Exit if the file can't be read or is empty
 */
export function secretFrom(file: string | undefined, variable: string): string | undefined {
  if (file === undefined) return process.env[variable]?.trim() || undefined;
  let secret: string;
  try {
    secret = readFileSync(file, "utf8").trim();
  } catch (error) {
    throw new Exit(USAGE, `the secret can't be read: ${messageOf(error)}`);
  }
  if (secret === "") throw new Exit(USAGE, `${file} is empty; write the value of ${variable} to it`);
  return secret;
}

/** Returns the environment without secrets. */
export function environmentWithoutSecrets(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !SECRETS.includes(name)));
}

/** Whether a token would be sent unencrypted to another machine. */
export function isExposed(url: string): boolean {
  if (!/^(ws|http):/i.test(url) || !URL.canParse(url)) return false;
  const { hostname } = new URL(url);
  return !/^(localhost|.+\.localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
}

/** Returns the token of a command, and warns if the network can read it. @throws Exit if it can't be read or sent */
export function tokenFor(url: string, file: string | undefined): string | undefined {
  const token = secretFrom(file, "FANOUT_TOKEN");
  if (token !== undefined && !/^[\w.-]+$/.test(token)) {
    throw new Exit(USAGE, "the token isn't a JWT; 'fanout token' makes one for testing");
  }
  if (token !== undefined && isExposed(url)) {
    remark(`warning: the token crosses the network unencrypted; use ${url.replace(/^(ws|http)(?=:)/i, "$1s")}`);
  }
  return token;
}
