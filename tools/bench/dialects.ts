/** What is said to the servers that are compared, and what they say to listeners. */

export interface Dialect {
  /** Where a connection goes whose home is `home`. */
  path(home: string): string;
  /** What a connection says first, to hear `channels` and no others. */
  introduction(home: string, channels: string[]): string;
  /** Whether what a connection has read shows that its introduction has taken effect. */
  isReady(read: string): boolean;
  announcement(channel: string, message: string): string;
  /** What a listener reads of a message. */
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

/** The same, as understood by servers that know nothing but their path's channel and announcements on it. */
const ANNOUNCE_ONLY: Dialect = {
  ...FANOUT,
  introduction: () => "",
  isReady: (read) => read.endsWith("\n"),
};

const NATS: Dialect = {
  path: () => "/",
  introduction: (_, channels) => {
    // A subscription's number may be any word; with the channel's name all lines have the same length.
    const subscriptions = channels.map((channel) => `SUB ${channel} ${channel}\r\n`);
    return `CONNECT {"verbose":false,"pedantic":false}\r\n${subscriptions.join("")}PING\r\n`;
  },
  // The server asks each client once, after some seconds, for a sign of life; then nothing but messages comes.
  isReady: (read) => read.includes("PONG\r\n") && read.includes("PING\r\n"),
  announcement: (channel, message) => `PUB ${channel} ${message.length}\r\n${message}\r\n`,
  line: (channel, message) => `MSG ${channel} ${channel} ${message.length}\r\n${message}\r\n`,
};

export { ANNOUNCE_ONLY, FANOUT, NATS };
