/** What clients of a server send and receive. */
import { clientFrame } from "./websocket.ts";

export interface Protocol {
  /** Returns the path of a connection that is connected to a channel. */
  path(home: string): string;
  /** The WebSocket subprotocol that clients ask for. */
  subprotocol?: string;
  /** Returns the first frames of a connection at `home` that subscribes to exactly these channels. */
  introduction(home: string, channels: string[]): Buffer;
  /**
   * Matches what a connection has received once its introduction has taken effect; undefined if that holds as soon as
   * the connection is open.
   */
  ready?: RegExp;
  /** Returns the frame that announces a message. */
  announcement(channel: string, message: string): Buffer;
  /** Returns what a subscriber receives for a message, without frame headers. */
  delivery(channel: string, message: string): Buffer;
}

export const FANOUT: Protocol = {
  path: (home) => `/${home}`,
  introduction(home, channels) {
    const commands = channels.filter((channel) => channel !== home).map((channel) => `subscribe ${channel}\n`);
    if (!channels.includes(home)) commands.push(`unsubscribe ${home}\n`);
    return clientFrame(`${commands.join("")}ping\n`);
  },
  ready: /^\d+\n/m,
  announcement: (channel, message) => clientFrame(`announce ${channel} ${message}`),
  delivery: (channel, message) => Buffer.from(`${channel}!${message}\n`),
};
