/** A violated guarantee, found by a client or by a check. */
export class Violation extends Error {}
