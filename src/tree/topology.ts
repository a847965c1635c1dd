/** Describes a channel's tree to operators: its objects, their subscribers, and their positions. */
import type { TreeDescription, TreeNode } from "../runtime/calls.ts";
import { channelOf } from "../runtime/object-names.ts";
import { polling } from "../stats/polling.ts";
import type { Router, RouterParts } from "./router.ts";

/** The most objects that a description lists. */
const MAX_LISTED = 1_000;

type DescriberParts = RouterParts & { readonly router: Router };

/** Returns a function that describes this object's part of a channel's tree. */
export function describerOf({ runtime, connections, router }: DescriberParts) {
  const { name } = runtime;
  const own = channelOf(name);

  const describeSelf = (channel: string, position: number | undefined): TreeNode => {
    return { object: name, listeners: connections.subscribers(channel), position };
  };

  /** Describes the part below a linked object; returns undefined if that doesn't answer. */
  const describeBelow = async (object: string): Promise<TreeDescription | undefined> => {
    const part = await runtime.call(object, "describe", { channel: own }).catch(() => undefined);
    const [first] = part?.objects ?? [];
    // An object that has hibernated doesn't know its position: it has what it acknowledged.
    if (first) {
      first.parent = name;
      first.position ??= router.downstream.linkTo(object)?.acknowledged;
    }
    return part;
  };

  /** Describes the object's own channel, with the objects below it. */
  const describeOwn = async (): Promise<TreeDescription> => {
    const { position, history } = router.channel;
    const self = describeSelf(own, position);
    const below = await Promise.all([...router.downstream.objects].map(describeBelow));
    const objects = [self, ...below.flatMap((part) => part?.objects ?? [])];
    const omitted = below.reduce((sum, part) => sum + (part?.omitted ?? 0), 0);
    return {
      objects: objects.slice(0, MAX_LISTED),
      omitted: omitted + Math.max(0, objects.length - MAX_LISTED),
      unreachable: below.reduce((sum, part) => sum + (part?.unreachable ?? 1), 0),
      kept: history?.retained,
    };
  };

  const poll = polling(describeOwn, ({ objects, omitted }) => objects.length + omitted, runtime.now);
  return async (channel: string): Promise<TreeDescription> => {
    if (channel === own) return poll();
    return { objects: [describeSelf(channel, router.positionOf(channel))], omitted: 0, unreachable: 0 };
  };
}
