/** A client of the original TCP protocol. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { parseCommand } from "../../../src/protocol/commands.ts";
import type { Case, Connect, Frame } from "../../conformance/case.ts";

/** Whether a case uses nothing but the original protocol's text commands. */
export function isForTcp({ steps }: Case): boolean {
  return steps.every((step) => {
    if (step.does === "connects") return step.path === "/";
    return step.does !== "sends" || step.frames.every(isOriginal);
  });
}

function isOriginal(frame: Frame): boolean {
  if (typeof frame !== "string") return false;
  return frame.split("\n").every((line) => {
    const command = parseCommand(line);
    if (command.kind === "subscribe") return command.from === undefined;
    return !["once", "enter", "leave", "members", "token", "keepalive"].includes(command.kind);
  });
}

/** Connects to an address of this machine, as "host:port". */
export async function dial(address: string): Promise<Socket> {
  const { hostname, port } = new URL(`tcp://${address}`);
  const socket = connect(Number(port), hostname);
  await once(socket, "connect");
  return socket;
}

/** Runs conformance cases over TCP. */
export function tcpTo(address: string): Connect {
  return async (_, receiver) => {
    const socket = (await dial(address)).setEncoding("utf8");
    let rest = "";
    socket.on("data", (text) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) receiver.frame(`${line}\n`);
    });
    const closed = once(socket, "close").then(() => receiver.closed(1000, ""));
    return {
      // The end of a frame also ends its last line.
      send: (frame) => socket.write(String(frame).replace(/\n?$/, "\n")),
      close: () => {
        socket.end();
        return closed;
      },
    };
  };
}
