/** The range of each limit. */
export const ranges = [
  { name: "SOCKETS_PER_OBJECT", least: 1, most: 32_768 },
  { name: "LINKS_PER_OBJECT", least: 1, most: 1_000 },
  { name: "MAX_LINE_BYTES", least: 300, most: 1_000_000 },
  { name: "MAX_CHANNELS_PER_CONNECTION", least: 2, most: 4_000 },
  { name: "MAX_BUFFERED_BYTES", least: 1_000_000, most: 32_000_000 },
  { name: "LINES_PER_SECOND", least: 1, most: 1_000_000 },
  { name: "CLIENT_LIMIT", least: 0, most: 1_000_000_000 },
  { name: "HISTORY_SECONDS", least: 0, most: 86_400 },
  { name: "HISTORY_BYTES", least: 1, most: 500_000 },
  { name: "PRESENCE_GRACE_SECONDS", least: 0, most: 3_600 },
  { name: "MEMBERS_PER_CHANNEL", least: 0, most: 5_000 },
];
