/** Channels in paths. */
import { channelFault, EVERYONE } from "../protocol/channels.ts";
import { Denial } from "./denial.ts";

/**
 * Returns the channel that a path names after its slash, percent-encoded; `all` if it names none.
 * @throws Denial if the name isn't valid
 */
export function channelIn(path: string): string {
  let channel: string;
  try {
    channel = decodeURIComponent(path.slice(1)) || EVERYONE;
  } catch {
    throw new Denial(400, "invalid", "the path isn't percent-encoded UTF-8");
  }
  const fault = channelFault(channel);
  if (fault !== undefined) throw new Denial(400, "invalid", fault);
  return channel;
}
