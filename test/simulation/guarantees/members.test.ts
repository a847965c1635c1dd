/** Members of channels. */
import { GOALS } from "../coverage.ts";
import { always, holds, rarely, sometimes } from "./property.ts";

holds("members are those with connections, whatever the network and the objects do", {
  tags: [
    "presence-channel",
    "presence-no-ghosts",
    "presence-no-flapping",
    "presence-no-race",
    "presence-exact",
    "presence-barrier",
  ],
  runs: 450,
  profiles: { withPresence: always, withHistory: always, withFaults: always, withOutages: sometimes, withSkew: rarely },
  goals: GOALS.members,
});

holds("without failures members come, go and return exactly", {
  tags: ["presence-exact"],
  runs: 300,
  profiles: { withPresence: always, withHistory: always, withSkew: rarely },
  goals: GOALS.calmMembers,
});
