/** The versions of the code that simulated objects run while a deploy reaches them: the last release, then today's. */
import { type Guard, TokenError } from "../../src/auth/verify.ts";
import { Broker } from "../../src/object/broker.ts";
import { CallFailed, type RawRuntime } from "../../src/runtime/runtime.ts";
import * as released from "../upgrades/before.js";

/** Creates an object's broker, as one version of the code does. */
type Version = (
  runtime: RawRuntime,
  sockets: ConstructorParameters<typeof Broker>[1],
  limits: Limits,
  guard?: Guard,
) => Broker;

type Limits = ConstructorParameters<typeof Broker>[2];

export const today: Version = (runtime, sockets, limits, guard) => new Broker(runtime, sockets, limits, guard).start();

export const lastRelease: Version = (runtime, sockets, limits, guard) =>
  new released.Broker(ownCalls(runtime), sockets, limits, guard && ownTokens(guard)).start();

/** Makes failed calls fail with the release's own class of errors. */
function ownCalls(runtime: RawRuntime): RawRuntime {
  const open: RawRuntime["open"] = (name) => {
    const stub = runtime.open(name);
    return {
      call: (...words) =>
        stub.call(...words).catch((error: unknown) => {
          throw error instanceof CallFailed ? new released.CallFailed(error.why, error.cause) : error;
        }),
    };
  };
  return { ...runtime, open };
}

/** Does the same for invalid tokens. */
function ownTokens(guard: Guard): Guard {
  const verify = (token: string) =>
    guard.verify(token).catch((error: unknown) => {
      throw error instanceof TokenError ? new released.TokenError(error.code, error.message, error.sub) : error;
    });
  return { ...guard, verify };
}
