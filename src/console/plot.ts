/** Plots of the last two minutes: messages per second, and delivery times. */
import uPlot from "uplot";
import { find } from "./elements.ts";
import type { Second } from "./traffic.ts";

/** The plotted period, in seconds. */
const WINDOW_SECONDS = 120;
const HEIGHT = 160;

const SHORT = new Intl.NumberFormat("en", { notation: "compact" });

/** Abbreviates 10,000 to 10K. */
function abbreviated(number: number): string {
  return SHORT.format(number);
}

/** One line of a plot. */
interface Line {
  label: string;
  isDashed: boolean;
}

/** Appends the values at a time, one per line. */
type Plot = (seconds: number, values: (number | null)[]) => void;

/**
 * Creates a plot; returns a function that appends values.
 * @param unit of the vertical axis
 */
export function plotIn(element: HTMLElement, unit: string, lines: Line[]): Plot {
  const data: (number | null)[][] = [[], ...lines.map(() => [])];
  const series = lines.map(({ label, isDashed }) => ({
    label,
    stroke: () => colour(isDashed ? "--quiet" : "--accent"),
    width: 2,
    dash: isDashed ? [4, 4] : [],
    points: { show: false },
    spanGaps: true,
  }));
  const axis = { stroke: () => colour("--quiet"), grid: { stroke: () => colour("--line"), width: 1 } };
  const label = { label: unit, labelSize: 20, labelGap: 0, labelFont: "12px system-ui, sans-serif" };
  const times = { ...axis, space: 80, values: "{HH}:{mm}:{ss}" };
  const numbers = {
    ...axis,
    ...label,
    size: 48,
    values: (_: uPlot, ticks: number[]) => ticks.map(abbreviated),
  };
  const plot = new uPlot(
    {
      width: element.clientWidth,
      height: HEIGHT,
      legend: { show: false },
      cursor: { show: false },
      scales: {
        x: { range: (_, __, newest) => [newest - WINDOW_SECONDS, newest] },
        y: { range: (_, __, most) => [0, Math.max(most, 1) * 1.1] },
      },
      axes: [times, numbers],
      series: [{}, ...series],
    },
    [[], ...lines.map(() => [])],
    element,
  );
  new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: HEIGHT })).observe(element);
  return (seconds, values) => {
    for (const [at, value] of [seconds, ...values].entries()) {
      data[at]?.push(value);
      if ((data[at]?.length ?? 0) > WINDOW_SECONDS) data[at]?.shift();
    }
    const [times = [], ...rest] = data;
    plot.setData([times.map(Number), ...rest]);
  };
}

/** Returns a colour of the current light or dark theme. */
function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name);
}

/** Creates the plots; returns a function that appends one second. */
export function showTraffic(): (second: Second) => void {
  const rates = plotIn(find(document, "#rates .plot", HTMLElement), "messages/s", [
    { label: "in", isDashed: false },
    { label: "out", isDashed: true },
  ]);
  const latencies = plotIn(find(document, "#latencies .plot", HTMLElement), "ms", [
    { label: "median", isDashed: false },
    { label: "largest", isDashed: true },
  ]);
  const [rate, latency] = [find(document, "#rates .now", HTMLElement), find(document, "#latencies .now", HTMLElement)];
  return ({ received, sent, median, largest }) => {
    const now = Math.floor(Date.now() / 1_000);
    rates(now, [received, sent]);
    latencies(now, [median, largest]);
    rate.textContent = `${received.toLocaleString()} received, ${sent.toLocaleString()} sent in the last second`;
    latency.textContent =
      median === null ? "–" : `median ${formatted(median)}, longest ${formatted(largest ?? median)}`;
  };
}

function formatted(milliseconds: number): string {
  return `${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms`;
}
