/**
 * Groups messages by channel, in their order: channels have no order between them, but messages of one channel do.
 * @param separator what stands between channel and message
 */
export function byChannel(messages: string[], separator = "!"): Record<string, string[]> {
  const groups: Record<string, string[]> = {};
  for (const message of messages) {
    const channel = message.slice(0, message.indexOf(separator));
    groups[channel] = [...(groups[channel] ?? []), message.slice(channel.length + separator.length)];
  }
  return groups;
}
