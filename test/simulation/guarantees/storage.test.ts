/** Storage that is full, and rows of the last release. */
import { GOALS } from "../coverage.ts";
import { always, holds, rarely, sometimes } from "./property.ts";

holds("while a deploy reaches one object after another, the guarantees hold", {
  tags: ["deploy-resumes"],
  runs: 350,
  profiles: {
    withDeploy: always,
    withPresence: sometimes,
    withTokens: rarely,
    withFaults: sometimes,
    withOutages: rarely,
  },
  goals: GOALS.deploy,
});

holds("with full storage, messages keep flowing, and none is lost silently", {
  tags: ["full-storage"],
  runs: 350,
  profiles: { withFullStorage: always, withPresence: rarely },
  goals: GOALS.fullStorage,
});

holds("with full storage and crashing objects, the order holds, and everything recovers", {
  runs: 250,
  profiles: { withFullStorage: always, withFaults: always, withOutages: rarely },
});
