/** The parts of one object that serve its connections. Parts use one another only after all of them exist. */
import type { Guard } from "../auth/verify.ts";
import type { Member, MembersAnswer } from "../runtime/calls.ts";
import type { Router, RouterParts } from "../tree/router.ts";
import type { Connection } from "./connection.ts";
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
  readonly presence: SessionPresence;
  /** Creates the reply to `info`, and notes that the last connection has closed. */
  readonly reporter: { info(): Promise<string>; emptied(): void };
}

/** The members with connections at this object, as commands use them. */
export interface SessionPresence {
  /**
   * Makes a connection present in a channel.
   * @returns a promise that resolves when the change has been announced; undefined if nothing changes
   * @throws CommandError, at once or later, if it isn't carried out
   */
  enter(connection: Connection, channel: string, member: Member): Promise<void> | undefined;
  /** Charges a connection for a command about members. @throws CommandError if there are too many */
  checkRate(connection: Connection): void;
  /** Ends a connection's presence in a channel, if there is any. Like `enter`. */
  leave(connection: Connection, channel: string): Promise<void> | undefined;
  /** Ends the presence of a connection that is about to be removed. */
  end(connection: Connection): void;
  /** Ends the presence of a connection where its grants no longer allow it. */
  endWhere(connection: Connection, isDenied: (channel: string, member: string) => boolean): void;
  /**
   * Returns the members of a channel, as of after this call.
   * @throws if the object that knows them doesn't answer
   */
  members(channel: string): Promise<MembersAnswer>;
  /** Gives pending changes their positions, before anything is sent. Only at the root of a presence channel. */
  flush(): void;
}
