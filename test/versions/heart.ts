/** What a later version is tested against: one object, and the errors that it knows by their class. */
export { TokenError } from "../../src/auth/verify.ts";
export { Broker } from "../../src/broker/broker.ts";
export { readLimits } from "../../src/broker/limits.ts";
export { CallFailed } from "../../src/links/world.ts";
