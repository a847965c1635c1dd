/** The protocols of the servers that are compared. */

export interface Dialect {
  /** The path of a connection whose home channel is `home`. */
  path(home: string): string;
  /** The first bytes of a connection that subscribes to exactly these channels. */
  introduction(home: string, channels: string[]): string;
  /** Whether the bytes received so far show that the introduction has taken effect. */
  isReady(read: string): boolean;
  announcement(channel: string, message: string): string;
  /** What a subscriber receives for a message. */
  line(channel: string, message: string): string;
}

const FANOUT: Dialect = {
  path: (home) => `/${home}`,
  introduction: (home, channels) => {
    const others = channels.filter((channel) => channel !== home);
    const commands = others.map((channel) => `subscribe ${channel}\n`);
    if (!channels.includes(home)) commands.push(`unsubscribe ${home}\n`);
    return `${commands.join("")}ping\n`;
  },
  isReady: (read) => /^\d+\n$/m.test(read),
  announcement: (channel, message) => `announce ${channel} ${message}`,
  line: (channel, message) => `${channel}!${message}\n`,
};

/** The same for servers that support only announcements on the channel of the path. */
const ANNOUNCE_ONLY: Dialect = {
  ...FANOUT,
  introduction: () => "",
  isReady: (read) => read.endsWith("\n"),
};

const NATS: Dialect = {
  path: () => "/",
  introduction: (_, channels) => {
    // A subscription's id may be any word; with the channel's name, all lines have the same length.
    const subscriptions = channels.map((channel) => `SUB ${channel} ${channel}\r\n`);
    return `CONNECT {"verbose":false,"pedantic":false}\r\n${subscriptions.join("")}PING\r\n`;
  },
  // The server pings each client once, after some seconds; from then on only messages come.
  isReady: (read) => read.includes("PONG\r\n") && read.includes("PING\r\n"),
  announcement: (channel, message) => `PUB ${channel} ${message.length}\r\n${message}\r\n`,
  line: (channel, message) => `MSG ${channel} ${channel} ${message.length}\r\n${message}\r\n`,
};

export { ANNOUNCE_ONLY, FANOUT, NATS };
