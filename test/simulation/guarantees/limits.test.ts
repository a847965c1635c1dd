/** Limits: of connections, tokens and buffers. */
import fc from "fast-check";
import { GOALS } from "../coverage.ts";
import { always, holds, rarely, sometimes } from "./property.ts";

holds("with a client limit, the count converges and never exceeds the limit for long", {
  tags: ["client-limit"],
  runs: 300,
  profiles: { clientLimit: fc.constantFrom(3, 6, 1_000), withFaults: sometimes, withOutages: rarely },
  goals: GOALS.clientLimit,
});

holds("connections with tokens end when their token does, and not before", {
  tags: ["close-expired"],
  runs: 250,
  profiles: { withTokens: always, withLongGrants: rarely, withPresence: rarely, withFaults: sometimes },
  goals: GOALS.tokens,
});

holds("with tiny buffers, slow connections are closed, and no message is lost silently", {
  tags: ["slow-closed", "close-waiting"],
  runs: 300,
  profiles: { withTinyBuffers: always, withFaults: sometimes },
  goals: GOALS.tinyBuffers,
});

holds("with slow readers, the backlog stays bounded, and no message is lost silently", {
  tags: ["object-buffer"],
  runs: 300,
  profiles: { withSlowReaders: always, withFaults: sometimes },
});
