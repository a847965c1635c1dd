/** When a token ends, as far as its bearer can tell. */

/** How long before its end another one is got, in milliseconds. */
const BEFORE_END = 30_000;

/** Milliseconds until a token is to be renewed; undefined if it does not say when it ends. */
export function untilRenewal(token: string, now: number): number | undefined {
  try {
    const [, payload = ""] = token.split(".");
    const { exp }: { exp?: unknown } = JSON.parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/")));
    if (typeof exp !== "number") return undefined;
    const left = exp * 1_000 - now;
    return Math.max(0, Math.max(left / 2, left - BEFORE_END));
  } catch {
    return undefined;
  }
}
