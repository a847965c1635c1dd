/** The part of the runtime's WebSockets that this project uses. */

export interface Socket {
  /** Bytes sent that the client has not read yet; undefined if the runtime doesn't report them. */
  readonly bufferedAmount: number | undefined;
  send(text: string): void;
  close(code: number, reason: string): void;
  /** Stores a value of at most 16,384 bytes that survives hibernation. */
  serializeAttachment(attachment: unknown): void;
  deserializeAttachment(): unknown;
}

/** The sockets of one object, which the runtime holds while the object hibernates. */
export interface Sockets {
  acceptWebSocket(socket: Socket): void;
  getWebSockets(): Socket[];
}
