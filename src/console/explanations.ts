/** Explanations of protocol lines. */
import { parseCommand } from "../protocol/commands.ts";
import { parseChange, presenceOf, subjectOf } from "../protocol/members.ts";
import { parseReply } from "../protocol/replies.ts";
import type { Direction } from "./direction.ts";

/** Explains a line in one sentence. */
export function explain(direction: Direction, line: string): string {
  return direction === "in" ? explainReply(line) : explainCommand(line);
}

function explainReply(line: string): string {
  const reply = parseReply(line);
  switch (reply.kind) {
    case "connected":
      return "The greeting: the connection is ready, and subscribed to its channel and 'all'.";
    case "busy":
      return "The service has reached its connection limit.";
    case "message":
      return `${explainMessage(reply.channel, reply.message)} Its position is one higher than that of the previous message.`;
    case "error":
      return "The server refused a command: the error code, the command, and the reason. Only this connection receives it.";
    case "accepted":
      return "The server accepted the new token; it is valid until this time, in Unix seconds.";
    case "time":
      return "The reply to ping, the time in Unix seconds: all earlier commands have taken effect.";
    case "figure":
      return "One figure of the reply to info.";
    case "alive":
      return "The reply to keepalive: the connection works. It wakes no object.";
    case "position":
      return `This connection receives '${reply.channel}' after this position; each message advances it by one.`;
    case "gap":
      return `Messages on '${reply.channel}' between these positions have expired.`;
    case "once":
      return "The message announced with this key has this position.";
    case "members":
      return `The members of '${reply.channel}' follow, with this number of lines. 'subscribe ${presenceOf(reply.channel)} since ${reply.position}' receives all later changes.`;
    case "member":
      return `'${reply.member}' is present on '${reply.channel}'${reply.data === "" ? "" : ", with this data"}.`;
    case "unknown":
      return "Unknown to this page; the server may be newer.";
  }
}

/** Explains a message, which on a presence channel is a change of members. */
function explainMessage(channel: string, message: string): string {
  const subject = subjectOf(channel);
  const change = subject === undefined ? undefined : parseChange(message);
  switch (change?.kind) {
    case "enter":
      return `'${change.member}' has entered '${subject}'.`;
    case "update":
      return `'${change.member}' has other data on '${subject}'.`;
    case "leave":
      return `'${change.member}' has left '${subject}', or has been disconnected for too long.`;
    default:
      return `A message on '${channel}'.`;
  }
}

function explainSubscribe(channel: string, resumes: boolean): string {
  const subject = subjectOf(channel);
  const what = subject === undefined ? `'${channel}'` : `'${channel}', the changes of the members of '${subject}',`;
  if (resumes) return `Subscribes to ${what} from this position on; missed messages come first.`;
  return `Subscribes to ${what.replace(/,$/, "")}.`;
}

function explainCommand(line: string): string {
  const command = parseCommand(line);
  switch (command.kind) {
    case "ping":
      return "Requests the time; the server replies when all earlier commands have taken effect.";
    case "info":
      return "Requests the server's figures.";
    case "keepalive":
      return "Checks the connection without waking an object.";
    case "subscribe":
      return explainSubscribe(command.channel, command.from !== undefined);
    case "unsubscribe":
      return `Unsubscribes from '${command.channel}'.`;
    case "announce":
      return `Announces a message on '${command.channel}'.`;
    case "once":
      return `Announces a message on '${command.channel}'; repeating it with the same key announces nothing.`;
    case "enter":
      return `Makes this connection present on '${command.channel}' as '${command.member}', or changes its data. Only a refusal gets a reply.`;
    case "leave":
      return `Ends this connection's presence on '${command.channel}' at once. A lost connection ends it after a grace period.`;
    case "members":
      return `Requests the members of '${command.channel}', and the position of '${presenceOf(command.channel)}' at which the list is true.`;
    case "token":
      return "Replaces the connection's token.";
    case "refused":
      return `The server refuses this line: ${command.refusal.why}.`;
    case "empty":
      return "An empty line; the server ignores it.";
  }
}
