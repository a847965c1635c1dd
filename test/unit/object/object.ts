/** An object in a runtime whose clock, commits and timers the test controls. */
import type { Grants } from "../../../src/auth/grants.ts";
import type { Guard } from "../../../src/auth/verify.ts";
import { Broker } from "../../../src/object/broker.ts";
import { type Limits, readLimits } from "../../../src/runtime/limits.ts";
import type { RawRuntime } from "../../../src/runtime/runtime.ts";
import type { Socket } from "../../../src/session/socket.ts";
import { settled } from "../settled.ts";
import { ClientSocket, socketsOf } from "../sockets.ts";
import { fakeRuntime, type Others } from "../tree/fake-runtime.ts";

interface Options {
  name?: string;
  limits?: Partial<Limits>;
  others?: Others;
  /** Sockets that hibernated with the object. */
  hibernated?: Socket[];
  rows?: Map<string, unknown>;
  /** Verifies tokens; without a guard, clients need none. */
  guard?: Guard;
  /** Overrides properties of the fake runtime. */
  platform?: Partial<RawRuntime>;
}

/** Creates an object, by default the root of `all`. */
export function objectOf({
  name = "all",
  limits,
  others,
  hibernated = [],
  rows = new Map(),
  guard,
  platform,
}: Options = {}) {
  const clock = { now: 1_000 };
  const runtime = { ...fakeRuntime(name, rows, others), now: () => clock.now, ...platform };
  const broker = new Broker(runtime, socketsOf(...hibernated), { ...readLimits({}), ...limits }, guard).start();
  const open = async (grants?: Grants) => {
    const socket = new ClientSocket();
    broker.opened(socket, "", grants);
    await settled();
    socket.text = "";
    return socket;
  };
  return { broker, clock, open };
}
