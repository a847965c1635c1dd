/** What the protocol says about a line. */
import { parseCommand } from "../protocol/commands.ts";
import { parseReply } from "../protocol/replies.ts";
import type { Direction } from "./network.ts";

/** A sentence. */
export function explain(direction: Direction, line: string): string {
  return direction === "in" ? explainReply(line) : explainCommand(line);
}

function explainReply(line: string): string {
  const reply = parseReply(line);
  switch (reply.kind) {
    case "connected":
      return "The greeting: the connection is ready, and hears its channel and 'all'.";
    case "busy":
      return "There is no room for this connection.";
    case "message":
      return `A message of the channel '${reply.channel}': the next one after the position that was counted to.`;
    case "error":
      return "A command was refused: an error code, the command, and why. Only this connection gets it.";
    case "accepted":
      return "The new token is good, until this time in Unix seconds.";
    case "time":
      return "The answer to ping, in Unix seconds: all that was said before has taken effect.";
    case "figure":
      return "A figure of the answer to info.";
    case "alive":
      return "The answer to keepalive: somebody is there. No object is woken for it.";
    case "position":
      return `The channel '${reply.channel}' is heard after this position: each message is one further.`;
    case "gap":
      return `Messages of '${reply.channel}' between these positions are not kept any more.`;
    case "once":
      return "What was announced under this key has this position.";
    case "unknown":
      return "Nothing that this page knows: the server may be newer.";
  }
}

function explainCommand(line: string): string {
  const command = parseCommand(line);
  switch (command.kind) {
    case "ping":
      return "Asks for the time, which comes when all that was said before has taken effect.";
    case "info":
      return "Asks for the figures of the server.";
    case "keepalive":
      return "Asks whether somebody is there, without waking anybody.";
    case "subscribe":
      return command.from
        ? `From here on, and with what was missed first, '${command.channel}' is heard.`
        : `From now on '${command.channel}' is heard.`;
    case "unsubscribe":
      return `From now on '${command.channel}' is not heard.`;
    case "announce":
      return `Announces a message on '${command.channel}'.`;
    case "once":
      return `Announces a message on '${command.channel}', once, however often it is said with this key.`;
    case "token":
      return "Puts another token in the context of the one that the connection was opened with.";
    case "refused":
      return `The server refuses this line: ${command.refusal.why}.`;
    case "empty":
      return "An empty line, which means nothing.";
  }
}
