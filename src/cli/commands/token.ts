/** `fanout token`: makes a token for testing. */
import { SignJWT } from "jose";
import { DONE, Exit, USAGE } from "../exits.ts";
import { print, remark } from "../output.ts";
import { secretFrom } from "../secrets.ts";

export interface TokenOptions {
  secretFile?: string;
  subscribe: string[];
  announce: string[];
  enter: string[];
  /** The subject, the only name under which the token may enter. */
  sub?: string;
  operate?: boolean;
  expires: string;
}

/** @returns the exit code */
export async function token({ secretFile, expires, ...grants }: TokenOptions): Promise<number> {
  const secret = secretFrom(secretFile, "TOKEN_SECRET");
  if (secret === undefined || new TextEncoder().encode(secret).length < 32) {
    throw new Exit(
      USAGE,
      "the server's secret is missing or short; set TOKEN_SECRET or --secret-file to 32 bytes or more",
    );
  }
  if (!/^[1-9]\d{0,4}[smhd]$/.test(expires))
    throw new Exit(
      USAGE,
      `'${expires}' isn't a duration; use a number from 1 to 99999 with a unit, such as 30m, 12h or 7d`,
    );
  const { subscribe, announce, enter, sub, operate } = grants;
  if (subscribe.length + announce.length + enter.length === 0 && !operate) {
    remark("this token grants nothing; add --subscribe, --announce, --enter or --operate");
  }
  const claims = { subscribe, announce, ...(enter.length > 0 && { enter }), ...(sub !== undefined && { sub }) };
  const made = new SignJWT({ ...claims, ...(operate && { operate }) })
    .setProtectedHeader({ alg: "HS256" })
    .setExpirationTime(expires);
  await print(await made.sign(new TextEncoder().encode(secret)));
  return DONE;
}
