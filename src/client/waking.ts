/** When it is worth looking at once whether the server can be reached, in a browser; elsewhere nothing tells. */

/** All reach the window. */
const EVENTS = ["online", "pageshow", "visibilitychange"];

/** Has something called when another network is there, or the page is back; returns what ends that. */
export function onWaking(look: () => void): () => void {
  const window: unknown = Reflect.get(globalThis, "window");
  if (!(window instanceof EventTarget)) return () => {};
  for (const event of EVENTS) window.addEventListener(event, look);
  return () => {
    for (const event of EVENTS) window.removeEventListener(event, look);
  };
}
