/** One connection of an object: a socket, its subscriptions, its pending output, and its allowances. */
import type { Grants } from "../auth/grants.ts";
import type { Bucket } from "./rate.ts";
import type { Socket } from "./socket.ts";
import type { SocketOutput } from "./socket-output.ts";

export interface Connection {
  readonly socket: Socket;
  readonly channels: Set<string>;
  /** Channels in which the client counts positions, starting from one that the server has sent. */
  readonly counted: Set<string>;
  /** Permissions from its token; undefined on a server without tokens. */
  grants: Grants | undefined;
  /** Bytes of its channels and grants in its attachment. */
  size: number;
  /** Lines for its next frame. */
  buffered: string;
  readonly output: SocketOutput;
  /** Limits the lines that are executed. */
  readonly lineRate: Bucket;
  /** Limits the lines that are refused because of `lineRate`. */
  readonly excessRate: Bucket;
  /** Limits the characters of missed messages. */
  readonly missedRate: Bucket;
  /** Limits the tokens that are verified. */
  readonly tokenRate: Bucket;
  /** Whether it counts against the limit on connections of the whole service, if there is one. */
  admitted: boolean;
  closed: boolean;
}
