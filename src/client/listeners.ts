/** Callbacks of the program. */

export type Listeners<Event> = Set<(event: Event) => void>;

/** Adds a listener, if there is one; returns a function that removes it. */
export function add<Event>(listeners: Listeners<Event>, listener?: (event: Event) => void): () => void {
  if (listener) listeners.add(listener);
  return () => {
    if (listener) listeners.delete(listener);
  };
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
