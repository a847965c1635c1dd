/** What a connection to a server needs and reports. */
import type { From } from "../protocol/positions.ts";
import type { Refused } from "./errors.ts";
import type { SendLimits } from "./limits.ts";
import type { World } from "./world.ts";

/** How a connection ended. */
export interface Ending {
  /** The close code of a connection that was accepted; 0 if it never was. */
  code: number;
  reason: string;
}

/** Where to connect: at a channel, to which the connection is then subscribed, or at the server itself. */
export interface Home {
  channel: string | undefined;
  /** From where on the channel is subscribed; undefined if the client isn't subscribed to it. */
  from: From | undefined;
}

/** What a transport reports. It reports nothing more when it was closed, or has ended. */
export interface TransportEvents {
  opened(): void;
  /** A subscription took effect after this position; undefined where the channel retains no messages. */
  located(channel: string, position: number | undefined): void;
  message(channel: string, text: string): void;
  refused(channel: string, error: Refused): void;
  ended(ending: Ending): void;
}

/** One announcement as a transport sends it. */
export interface Outgoing {
  readonly channel: string;
  readonly text: string;
  readonly key: string;
}

export type Outcome = { position: number | undefined } | { error: Refused };

/** What a connection needs. */
export interface TransportParts {
  world: World;
  base: string;
  token: string | undefined;
  home: Home;
  limits: SendLimits;
  events: TransportEvents;
  /** Undefined unless somebody debugs. */
  debug: ((event: string) => void) | undefined;
}
