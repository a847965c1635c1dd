/** `fanout bridge`: the original protocol on a TCP port. */
import { bridge, placeOf } from "../../bridge/bridge.ts";
import { Exit, USAGE } from "../exits.ts";
import { print } from "../output.ts";
import { checkAddress } from "../server.ts";
import { doneWhen } from "../signals.ts";

export interface BridgeCommand {
  to: string;
  listen: string;
  token?: string;
}

/** Goes on until the program is stopped. @returns never, as an exit code */
export async function bridgeFrom({ to, listen, token }: BridgeCommand): Promise<number> {
  checkAddress(to);
  doneWhen(() => true);
  const { host, port } = placeIn(listen);
  const options = { to, host, port, token };
  const server = await bridge(options).catch((error: Error) => {
    throw new Exit(USAGE, `it cannot listen at ${listen}: ${error.message}`);
  });
  await print(`${placeOf(server)} is a bridge to ${to}`);
  return new Promise(() => {});
}

/** @throws Exit if that is no host and port */
function placeIn(listen: string): { host: string; port: number } {
  const [, host = "127.0.0.1", port = ""] = /^(?:(.+):)?(\d{1,5})$/.exec(listen) ?? [];
  if (port === "" || Number(port) > 65_535) {
    throw new Exit(USAGE, `'${listen}' is no place to listen at; one looks like 127.0.0.1:1986`);
  }
  return { host: host.replace(/^\[(.*)\]$/, "$1"), port: Number(port) };
}
