/** The code of a release that later versions are tested against: an object's broker, and the errors it recognizes by class. */
export { TokenError } from "../../src/auth/verify.ts";
export { Broker } from "../../src/object/broker.ts";
export { readLimits } from "../../src/runtime/limits.ts";
export { CallFailed } from "../../src/runtime/runtime.ts";
