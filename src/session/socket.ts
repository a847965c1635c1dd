/** What is used of the runtime's WebSockets. */

export interface Socket {
  /** Bytes sent that the client has not taken yet; not every runtime tells. */
  readonly bufferedAmount: number | undefined;
  send(text: string): void;
  close(code: number, reason: string): void;
  /** Keeps something that outlives hibernation, of at most 16,384 bytes. */
  serializeAttachment(attachment: unknown): void;
  deserializeAttachment(): unknown;
}

/** Where the runtime keeps the sockets of an object while that is not in memory. */
export interface Sockets {
  acceptWebSocket(socket: Socket): void;
  getWebSockets(): Socket[];
}
