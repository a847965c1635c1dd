/** The parts of one object that serve its connections. Parts use one another only after all of them exist. */
import type { Guard } from "../auth/verify.ts";
import type { Router, RouterParts } from "../tree/router.ts";
import type { Connections } from "./connections.ts";

export interface SessionParts extends RouterParts {
  readonly connections: Connections;
  readonly router: Router;
  /** Verifies tokens; undefined on a server without tokens. */
  readonly guard: Guard | undefined;
  /** The part of the object's alarm that is for tokens: when the first grants expire, or infinity. */
  readonly alarm: { readonly expiry: number; expireAt(time: number): void };
  /** Admits connections, and frees their slots; undefined if the number of connections is unlimited. */
  readonly clientLimit: { admit(): Promise<boolean>; release(): void } | undefined;
  /** Creates the reply to `info`, and notes that the last connection has closed. */
  readonly reporter: { info(): Promise<string>; emptied(): void };
}
