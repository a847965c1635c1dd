/** The claims of the page's token, which only the server can verify. */

export interface Claims {
  /** Whether the token grants the operators' pages. */
  operate: boolean;
  /** The subject; undefined if it has none. */
  sub: string | undefined;
}

/** Returns the claims of a token; those of a token without any if it can't be decoded. */
export function claimsOf(token: string): Claims {
  const claims = decoded(token);
  const { operate, sub }: { operate?: unknown; sub?: unknown } = claims;
  return { operate: operate === true, sub: typeof sub === "string" ? sub : undefined };
}

function decoded(token: string): object {
  try {
    const [, payload = ""] = token.replaceAll("-", "+").replaceAll("_", "/").split(".");
    const bytes = Uint8Array.from(atob(payload), (character) => character.charCodeAt(0));
    return Object(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    return {};
  }
}
