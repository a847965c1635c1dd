/** A line of the protocol that somebody types, said by the client in its own words: so it still knows where it is. */
import { parseCommand } from "../protocol/commands.ts";
import type { From } from "../protocol/positions.ts";

/** What a client can be asked to do. */
export interface Doer {
  ask(question: "ping" | "info"): void;
  subscribe(channel: string, since: number | undefined): void;
  unsubscribe(channel: string): void;
  announce(channel: string, text: string): void;
}

/** @throws Error if that is no command, or one of which the client takes care */
export function carryOut(line: string, client: Doer): void {
  const command = parseCommand(line);
  switch (command.kind) {
    case "ping":
    case "info":
      client.ask(command.kind);
      break;
    case "subscribe":
      client.subscribe(command.channel, sinceOf(command.from));
      break;
    case "unsubscribe":
      client.unsubscribe(command.channel);
      break;
    case "announce":
      client.announce(command.channel, command.message);
      break;
    case "invalid":
      throw new Error(command.why);
    default:
      throw new Error(`the client says '${command.kind}' by itself`);
  }
}

/** A client without a position hears the newest messages first, whatever else it is asked for. */
function sinceOf(from: From | undefined): number | undefined {
  return from && "since" in from && from.since !== "now" ? from.since : undefined;
}
