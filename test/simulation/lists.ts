/** Lists of members over HTTP: a Worker calls the root of a presence channel. */
import { presenceOf } from "../../src/protocol/members.ts";
import type { MembersAnswer } from "../../src/runtime/calls.ts";
import type { Simulation } from "./simulation.ts";

/** Asks for the members of a channel as a Worker does, and checks the answer, if there is one. */
export function listByWorker(simulation: Simulation, channel: string): void {
  const { members, objects } = simulation;
  members.scan();
  const after = members.log(channel).newest;
  const check = (answer: MembersAnswer) => {
    if (!("members" in answer)) return;
    try {
      members.checkList(channel, answer.position, answer.members, after, "the answer to a Worker");
    } catch (violation) {
      simulation.violation = violation;
    }
  };
  objects.askFromWorker(presenceOf(channel), "members", undefined).then(check, () => {});
}
