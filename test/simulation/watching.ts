/** What shows from outside at any time. */
import { Breach } from "./breach.ts";
import { MAX_PENDING_BYTES } from "./kind.ts";
import type { SimulatedObject } from "./life.ts";
import type { Objects } from "./objects.ts";

/** Memory that a frame takes that waits, besides its bytes. */
const FRAME = 1_300;

/** Checks that what waits for all clients of an object has a bound, those included that it has closed. */
export function checkPending(objects: Iterable<SimulatedObject>): void {
  for (const { name, sockets } of objects) {
    // That a connection is closed comes on top, once for each.
    const frames = sockets.flatMap(({ unread }) => unread.filter(({ bytes }) => bytes > 0));
    const waiting = frames.reduce((sum, { bytes }) => sum + bytes + FRAME, 0);
    if (waiting > MAX_PENDING_BYTES + 3 * FRAME)
      throw new Breach(`${waiting} bytes wait for the clients of ${name}`);
  }
}

/** Checks that a connection that came with a token of a key that isn't valid any more is closed when its object wakes. */
export function checkGrants(objects: Objects): void {
  for (const object of objects) {
    const [outdated] = objects.outdated(object);
    if (outdated) throw new Breach(`${outdated.name} stays at ${object.name} with an outdated token`);
  }
}
