/** Functions that a program has passed in. */

export type Listeners<Event> = Set<(event: Event) => void>;

/** Adds a listener, if there is one; returns a function that removes it. */
export function add<Event>(listeners: Listeners<Event>, listener?: (event: Event) => void): () => void {
  // The same function may be added twice.
  const own = (event: Event) => listener?.(event);
  listeners.add(own);
  return () => void listeners.delete(own);
}

export function tell<Event>(listeners: Listeners<Event>, event: Event): void {
  for (const listener of listeners) call(() => listener(event));
}

/** Calls a program's function; an error in it is reported as uncaught, and interrupts nothing else. */
export function call(act: () => void): void {
  try {
    act();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
