/** One connection of an object: a socket, its subscriptions, its pending output, and its allowances. */
import type { Grants } from "../auth/grants.ts";
import { type Entered, sizeOf } from "./attachment.ts";
import { newBucket } from "./rate.ts";
import type { Socket } from "./socket.ts";
import type { SocketOutput } from "./socket-output.ts";

/** The batch of connections that have no lines buffered. */
export const EMPTY_BATCH = {};

export class Connection {
  readonly socket: Socket;
  readonly output: SocketOutput;
  /** Permissions from its token; undefined on a server without tokens. */
  grants: Grants | undefined;
  readonly channels = new Set<string>();
  /** Channels in which the client counts positions, starting from one that the server has sent. */
  readonly counted = new Set<string>();
  /** As whom it has entered which channel. */
  readonly entered = new Map<string, Entered>();
  /** Bytes of its channels, members and grants in its attachment. */
  size: number;
  /** Lines for its next frame. */
  buffered = "";
  /** Stands for these lines: connections with the same object have the same lines buffered. */
  batch: object = EMPTY_BATCH;
  /** Limits the lines that are executed. */
  readonly lineRate = newBucket();
  /** Limits the lines that are refused because of `lineRate`. */
  readonly excessRate = newBucket();
  /** Limits the characters of missed messages. */
  readonly missedRate = newBucket();
  /** Limits how often it enters and leaves channels. */
  readonly presenceRate = newBucket();
  /** Limits the tokens that are verified. */
  readonly tokenRate = newBucket();
  /** Whether it counts against the limit on connections of the whole service, if there is one. */
  admitted = false;
  closed = false;

  constructor(socket: Socket, output: SocketOutput, grants: Grants | undefined) {
    this.socket = socket;
    this.output = output;
    this.grants = grants;
    this.size = sizeOf(grants);
  }
}
