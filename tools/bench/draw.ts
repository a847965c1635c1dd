/** Measures and draws the chart in the documentation. */
import { availableParallelism } from "node:os";
import { type Crowds, contest, type Pace } from "./contest.ts";
import { type Line, picture } from "./picture.ts";
import { each, subscribers } from "./rows.ts";
import type { Servers } from "./servers.ts";

const SUBSCRIBERS = [10, 30, 100, 300, 1000];
const WINDOW = 64;

/** Returns the chart as SVG. */
export async function draw(
  { ours, loop, nats }: Servers,
  crowds: Crowds,
  pace: Pace,
  onStep: (step: string) => void,
): Promise<string> {
  const lines: Line[] = [
    { label: "Fanout, this project", color: "#bc4c00", rates: [] },
    { label: "object that loops", color: "#6639ba", rates: [] },
    { label: "NATS, native", color: "#0969da", rates: [] },
  ];
  const servers = [ours, loop, nats].filter((server) => server !== undefined);
  for (const count of SUBSCRIBERS) {
    const contenders = each(servers, subscribers(count), WINDOW);
    const onEach = (step: string) => onStep(`${count} subscribers: ${step}`);
    const outcomes = await contest(contenders, crowds, pace, false, onEach);
    for (const [index, { rate }] of outcomes.entries()) lines[index]?.rates.push(rate);
  }
  const machine = `${availableParallelism()} cores, shared with the load generator`;
  const subtitle = `32-byte messages, ${WINDOW} in flight; ${machine}`;
  return picture("Messages delivered per second", subtitle, SUBSCRIBERS, lines.slice(0, servers.length));
}
