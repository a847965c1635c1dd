/** The secrets that tokens of a simulated service are made with, as an operator rotates them. */
import type { Grants } from "../../src/auth/grants.ts";
import { type Guard, TokenError } from "../../src/auth/verify.ts";

export class Secrets {
  #newest = 1;
  #keys: ReadonlySet<string> = new Set(["1"]);

  /** How often they have been rotated. */
  get rotations(): number {
    return this.#newest - 1;
  }

  /** @param isKept whether tokens that were made with the secret before stay valid */
  rotate(isKept: boolean): void {
    const previous = isKept ? [String(this.#newest)] : [];
    this.#newest += 1;
    this.#keys = new Set([...previous, String(this.#newest)]);
  }

  /** A token of today that ends at a time, in milliseconds, and may grant very much. */
  tokenUntil(until: number, isLong: boolean): string {
    return `${this.#newest}.${until}${isLong ? ".long" : ""}`;
  }

  /** What an object that wakes now checks tokens with, until it sleeps. */
  guard(): Guard {
    const keys = this.#keys;
    const verify = async (token: string) => {
      const grants = grantsIn(token);
      if (keys.has(grants.key)) return grants;
      throw new TokenError("forbidden", "the token is forged");
    };
    return { keys, verify };
  }
}

/** Names that fill an attachment nearly: 15,000 bytes are allowed for names, of which channels need some. */
const LONG = Array.from({ length: 60 }, (_, i) => `${i}`.padEnd(239, "x"));

/** What a token grants: all that it says is with which secret it was made, when it ends, and whether that is much. */
export function grantsIn(token: string): Grants {
  const [key = "", until, long] = token.split(".");
  const subscribe = ["*", ...(long ? LONG : [])];
  return { subscribe, announce: ["*", "all"], until: Number(until), key };
}
