/** What a later version is tested against: one object, and the errors that it knows by their class. */
export { TokenError } from "../../src/auth/verify.ts";
export { Broker } from "../../src/object/broker.ts";
export { readLimits } from "../../src/runtime/limits.ts";
export { CallFailed } from "../../src/runtime/runtime.ts";
