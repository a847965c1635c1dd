/** `fanout bridge`: serves the original TCP protocol. */
import { addressOf, bridge } from "../../bridge/bridge.ts";
import { codeOf, Exit, LOCAL, USAGE } from "../exits.ts";
import { print } from "../output.ts";
import { checkAddress } from "../server.ts";
import { doneWhen } from "../signals.ts";

export interface BridgeCommand {
  to: string;
  listen: string;
  token?: string;
}

/** Runs until the program is stopped; never resolves. */
export async function bridgeFrom({ to, listen, token }: BridgeCommand): Promise<number> {
  checkAddress(to);
  doneWhen(() => true);
  const { host, port } = parseListenAddress(listen);
  const options = { to, host, port, token };
  const server = await bridge(options).catch((error: Error) => {
    const code = codeOf(error) === "EADDRINUSE" ? LOCAL : USAGE;
    throw new Exit(code, `the bridge can't listen at ${listen}: ${error.message}`);
  });
  await print(`${addressOf(server)} is a bridge to ${to}`);
  return new Promise(() => {});
}

/** @throws Exit if the text isn't a host and a port */
function parseListenAddress(listen: string): { host: string; port: number } {
  const [, host = "127.0.0.1", port = ""] = /^(?:(.+):)?(\d{1,5})$/.exec(listen) ?? [];
  if (port === "" || Number(port) > 65_535) {
    throw new Exit(USAGE, `'${listen}' isn't a host and a port; use the form 127.0.0.1:1986`);
  }
  return { host: host.replace(/^\[(.*)\]$/, "$1"), port: Number(port) };
}
