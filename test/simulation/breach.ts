/** A breach of a promise, found by a client or by a check at the end of a run. */
export class Breach extends Error {}
