/** Terminal commands that subscribe to a channel of this server. */

import { shellQuoted } from "./quoting.ts";

/** Returns one command each for curl, wscat and npm. */
export function commandsFor(base: string, channel: string): string[] {
  const server = base.replace(/^http/, "ws");
  const path = encodeURIComponent(channel);
  return [
    `curl -N ${shellQuoted(`${base}/${path}`)}`,
    `npx wscat -c ${shellQuoted(`${server}/${path}`)}`,
    `npm run fanout -s -- sub ${shellQuoted(server)} ${shellQuoted(channel)} # in a clone of the repository`,
  ];
}
