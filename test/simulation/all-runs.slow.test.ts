/** The simulations with all their runs, which are enough to reach every coverage goal; `npm test` makes half of them. */
import "./client/library.test.ts";
import "./guarantees.test.ts";
import "./streams/streams.test.ts";
