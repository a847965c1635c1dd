/** Channels in paths. */
import { channelFault, EVERYONE } from "../protocol/channels.ts";
import { Denial } from "./denial.ts";

/**
 * Returns the channel that a path names after its slash, percent-encoded; `all` if it names none.
 * @throws Denial if the name isn't valid
 */
export function channelIn(path: string): string {
  const channel = decoded(path.slice(1));
  const fault = channel === undefined ? "the path isn't percent-encoded UTF-8" : channelFault(channel);
  if (channel === undefined || fault) throw new Denial(400, "invalid", `${fault}`);
  return channel;
}

function decoded(path: string): string | undefined {
  try {
    return decodeURIComponent(path) || EVERYONE;
  } catch {
    return undefined;
  }
}
