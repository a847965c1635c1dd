/** The secrets that a simulated service signs tokens with, as an operator rotates them. */
import type { Grants } from "../../src/auth/grants.ts";
import { type Guard, TokenError } from "../../src/auth/verify.ts";

export class Secrets {
  #newest = 1;
  #keys: ReadonlySet<string> = new Set(["1"]);

  /** Number of rotations so far. */
  get rotations(): number {
    return this.#newest - 1;
  }

  /** @param isKept whether tokens signed with the previous secret stay valid */
  rotate(isKept: boolean): void {
    const previous = isKept ? [String(this.#newest)] : [];
    this.#newest += 1;
    this.#keys = new Set([...previous, String(this.#newest)]);
  }

  /** Returns a token signed with the current secret, which expires at `until`, in milliseconds. */
  tokenUntil(until: number, isLong: boolean, mayEnter: boolean): string {
    return `${this.#newest}.${until}.${isLong ? "long" : ""}.${mayEnter ? "enter" : ""}`;
  }

  /** Returns what an object that wakes now checks tokens with, until it leaves memory. */
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

/** Names that nearly fill an attachment: grants may use 15,000 bytes for names, and channels need some of them. */
const LONG = Array.from({ length: 60 }, (_, i) => `${i}`.padEnd(239, "x"));

/** Parses a token: its secret's number, its expiry, whether its grants are long, and whether it allows to enter channels. */
export function grantsIn(token: string): Grants {
  const [key = "", until, long, enter] = token.split(".");
  const subscribe = ["*", ...(long ? LONG : [])];
  return { subscribe, announce: ["*", "all"], ...(enter && { enter: ["*", "all"] }), until: Number(until), key };
}
