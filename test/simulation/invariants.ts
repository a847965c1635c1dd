/** Invariants that are checked after every action. */

import type { SimulatedObject } from "./object.ts";
import type { Objects } from "./objects.ts";
import { MAX_BUFFERED } from "./profile.ts";
import { Violation } from "./violation.ts";

/** Memory per buffered frame besides its bytes. */
const FRAME = 1_300;

/** Checks that the buffers of an object's clients are bounded, including those of closed connections. */
export function checkBuffers(objects: Iterable<SimulatedObject>): void {
  for (const { name, sockets } of objects) {
    // Each connection's close comes on top.
    const frames = sockets.flatMap(({ unread }) => unread.filter(({ bytes }) => bytes > 0));
    const waiting = frames.reduce((sum, { bytes }) => sum + bytes + FRAME, 0);
    if (waiting > MAX_BUFFERED + 3 * FRAME)
      throw new Violation(`${waiting} bytes are buffered for the clients of ${name}`);
  }
}

/** Checks that an object in memory has closed the connections whose token's key is no longer valid. */
export function checkGrants(objects: Objects): void {
  for (const object of objects) {
    const [outdated] = objects.outdated(object);
    if (outdated) throw new Violation(`${outdated.name} stays at ${object.name} with an outdated token`);
  }
}
