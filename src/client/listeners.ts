/** Callbacks of the program. */
import { checkFunction, demand } from "./inputs.ts";

export type Listeners<Event> = Set<(event: Event) => void>;

/** The listeners for each kind of events. */
export type ListenersByKind<Events> = { readonly [K in keyof Events]: Listeners<Events[K]> };

/** Adds a listener, if there is one; returns a function that removes it. */
export function add<Event>(listeners: Listeners<Event>, listener?: (event: Event) => void): () => void {
  if (listener) listeners.add(listener);
  return () => {
    if (listener) listeners.delete(listener);
  };
}

/**
 * Adds a listener for one kind of events; returns a function that removes it.
 * @throws TypeError if there is no such kind, or the listener isn't a function
 */
export function addFor<Events, K extends keyof Events>(
  all: ListenersByKind<Events>,
  kind: K,
  listener: (event: Events[K]) => void,
): () => void {
  checkFunction(listener, "the listener");
  const listeners = all[kind];
  demand(listeners instanceof Set, "the event", kind, Object.keys(all).join(", "));
  return add(listeners, listener);
}

/** Calls all listeners. If one throws, its error is reported as uncaught, and the others still run. */
export function emit<Event>(listeners: Listeners<Event>, event: Event): void {
  for (const listener of listeners) {
    try {
      listener(event);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}
