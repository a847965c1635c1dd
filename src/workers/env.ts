/** What the Worker is bound to, besides its settings. */
import type { Calls } from "../links/messages.ts";

export interface Env {
  CHANNEL: DurableObjectNamespace<Callable>;
}

/** What objects may call each other for; the class in `channel.ts` is that. */
export interface Callable extends Rpc.DurableObjectBranded {
  call<Kind extends keyof Calls>(
    kind: Kind,
    ask: Calls[Kind]["ask"],
    hop: number,
  ): Calls[Kind]["answer"] | Promise<Calls[Kind]["answer"]>;
}
