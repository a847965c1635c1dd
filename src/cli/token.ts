/** `fanout token`: makes one to try things out with. */
import { SignJWT } from "jose";
import { DONE, Exit, USAGE } from "./exits.ts";
import { print } from "./output.ts";

export interface TokenOptions {
  secret?: string;
  subscribe: string[];
  announce: string[];
  operate?: boolean;
  expires: string;
}

/** @returns the exit code */
export async function token({
  secret,
  subscribe,
  announce,
  operate,
  expires,
}: TokenOptions): Promise<number> {
  if (secret === undefined || new TextEncoder().encode(secret).length < 32) {
    throw new Exit(
      USAGE,
      "the secret of the server is needed, in --secret or TOKEN_SECRET: 32 bytes or more",
    );
  }
  if (!/^\d+[smhd]$/.test(expires))
    throw new Exit(USAGE, `'${expires}' is no time; one looks like 30m, 12h or 7d`);
  const claims = { subscribe, announce, ...(operate ? { operate } : {}) };
  const made = new SignJWT(claims).setProtectedHeader({ alg: "HS256" }).setExpirationTime(expires);
  await print(await made.sign(new TextEncoder().encode(secret)));
  return DONE;
}
