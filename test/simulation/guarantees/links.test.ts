/** Links between objects, and what clients receive through them. */
import { GOALS } from "../coverage.ts";
import { always, holds, rarely, sometimes } from "./property.ts";

holds("links keep the guarantees, whatever the network and the objects do", {
  tags: [
    "order-shared",
    "order-of-publisher",
    "delivery-once",
    "close-not-loss",
    "ping-barrier",
    "stored-first",
    "resume-exact",
    "gap-named",
    "crash-own-connections",
    "crash-unsure-link",
    "crash-of-child",
    "crash-without-retention",
    "calm-after-crash",
    "slow-object",
    "stale-removed",
  ],
  runs: 800,
  profiles: { withFaults: always, withOutages: sometimes, withSkew: rarely },
  goals: GOALS.links,
});

holds("without failures no connection is closed, whenever objects hibernate", {
  tags: ["delivery-once"],
  runs: 400,
  profiles: { withSkew: rarely },
});
