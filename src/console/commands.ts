/** Terminal commands that subscribe to a channel of this server. */

/** Returns one command each for curl, wscat and npm. */
export function commandsFor(base: string, channel: string): string[] {
  const server = base.replace(/^http/, "ws");
  const path = encodeURIComponent(channel);
  return [
    `curl -N ${quoted(`${base}/${path}`)}`,
    `npx wscat -c ${quoted(`${server}/${path}`)}`,
    `npx -p fanout-edge fanout sub ${quoted(server)} ${quoted(channel)}`,
  ];
}

/** Quotes a word for a shell, if necessary. */
function quoted(word: string): string {
  return /^[\w./:-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
