/** When it is worth looking at once whether the server can be reached, in a browser; elsewhere nothing tells. */

const EVENTS: [target: string, event: string][] = [
  ["window", "online"],
  ["window", "pageshow"],
  ["document", "visibilitychange"],
];

/** Has something called when another network is there, or the page is back; returns what ends that. */
export function onWaking(look: () => void): () => void {
  const ends = EVENTS.map(([name, event]) => {
    const target: unknown = Reflect.get(globalThis, name);
    if (!(target instanceof EventTarget)) return () => {};
    target.addEventListener(event, look);
    return () => target.removeEventListener(event, look);
  });
  return () => {
    for (const end of ends) end();
  };
}
