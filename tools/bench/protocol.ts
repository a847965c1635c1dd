/** What clients send and receive: Fanout's lines, or NATS's. */

/** Matches what a connection has received once its introduction has taken effect; the NATS server pings each client once. */
export const READY = /^\d+\n|(?=.*PONG\r\n).*PING\r\n/ms;

/** Returns the first bytes of a connection at `/home` that subscribes to exactly these channels. */
export function introduction(isNats: boolean, home: string, channels: string[]): string {
  if (isNats) {
    // A subscription's id may be any word; with the channel's name, all lines have the same length.
    const subscriptions = channels.map((channel) => `SUB ${channel} ${channel}\r\n`);
    return `CONNECT {"verbose":false,"pedantic":false}\r\n${subscriptions.join("")}PING\r\n`;
  }
  const commands = channels.filter((channel) => channel !== home).map((channel) => `subscribe ${channel}\n`);
  if (!channels.includes(home)) commands.push(`unsubscribe ${home}\n`);
  return `${commands.join("")}ping\n`;
}

export function announcement(isNats: boolean, channel: string, message: string): string {
  return isNats ? `PUB ${channel} ${message.length}\r\n${message}\r\n` : `announce ${channel} ${message}`;
}

/** Returns what a subscriber receives for a message. */
export function delivery(isNats: boolean, channel: string, message: string): string {
  return isNats ? `MSG ${channel} ${channel} ${message.length}\r\n${message}\r\n` : `${channel}!${message}\n`;
}
