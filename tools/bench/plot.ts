/** Draws rates as bars and latencies as percentile curves, side by side, as SVG. */
import { type Outcome, quantile } from "./contest.ts";
import type { Row } from "./rows.ts";

/** A row with its results. */
export interface Measured {
  row: Row;
  outcomes: Outcome[];
}

interface Theme {
  background: string;
  text: string;
  grid: string;
  /** A color per server, in the order of the rows. */
  lines: string[];
}

export const THEMES: Record<"light" | "dark", Theme> = {
  light: {
    background: "#ffffff",
    text: "#1f2328",
    grid: "#d8dee4",
    lines: ["#0969da", "#cf222e", "#1a7f37", "#8250df", "#bc4c00", "#57606a", "#bf3989"],
  },
  dark: {
    background: "#0d1117",
    text: "#e6edf3",
    grid: "#30363d",
    lines: ["#58a6ff", "#ff7b72", "#3fb950", "#bc8cff", "#f0883e", "#8b949e", "#f778ba"],
  },
};

/** Sizes, in pixels: of a panel's inside, and of the margins around it. */
const PANEL = { width: 260, height: 190, left: 52, right: 24, top: 44, bottom: 40 };
const LEGEND = 30;

/** The quantiles of the curves; those with too few values are left out. */
const PARTS = [0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999];
/** Labels of the axis. */
const NINES: [part: number, label: string][] = [
  [0.5, "50 %"],
  [0.9, "90 %"],
  [0.99, "99 %"],
  [0.999, "99.9 %"],
];

/** Draws the rows that have a panel: rates above, latencies below. */
export function plot(all: Measured[], theme: Theme): string {
  const rows = (["rates", "latencies"] as const).map((shows) => all.filter(({ row }) => row.panel?.shows === shows));
  const names = [...new Set(rows.flat().flatMap(({ outcomes }) => outcomes.map(({ name }) => name)))];
  const color = (name: string) => theme.lines[names.indexOf(name) % theme.lines.length] ?? theme.text;
  const each = { width: PANEL.left + PANEL.width + PANEL.right, height: PANEL.top + PANEL.height + PANEL.bottom };
  const width = each.width * Math.max(...rows.map(({ length }) => length));
  const height = LEGEND + each.height * rows.filter(({ length }) => length > 0).length;
  const panels = rows
    .filter(({ length }) => length > 0)
    .flatMap((measured, y) => {
      const [low, high] = decades(measured);
      return measured.map((one, x) => {
        const at = `translate(${x * each.width + PANEL.left} ${LEGEND + y * each.height + PANEL.top})`;
        return `<g transform="${at}">${panel(one, low, high, theme, color)}</g>`;
      });
    });
  const legend = names.map((name, i) => {
    const x = PANEL.left + i * 130;
    return `<rect x="${x}" y="16" width="14" height="14" fill="${color(name)}"/>${label(x + 20, 28, name, theme)}`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="12">
<title>Deliveries per second, and percentiles of latencies, of each server</title>
<rect width="100%" height="100%" fill="${theme.background}"/>
${[...legend, ...panels].join("\n")}
</svg>
`;
}

/** Returns the powers of ten around all values of some panels. */
function decades(measured: Measured[]): [low: number, high: number] {
  const values = measured.flatMap(({ row, outcomes }) =>
    outcomes.flatMap((outcome) => (row.panel?.shows === "rates" ? [outcome.rate] : curve(outcome).map(([, y]) => y))),
  );
  return [Math.floor(Math.log10(Math.min(...values))), Math.ceil(Math.log10(Math.max(...values)))];
}

function panel(
  { row, outcomes }: Measured,
  low: number,
  high: number,
  theme: Theme,
  color: (name: string) => string,
): string {
  const y = (value: number) => PANEL.height * (1 - (Math.log10(value) - low) / (high - low));
  const isRate = row.panel?.shows === "rates";
  const grid = Array.from({ length: high - low + 1 }, (_, i) => {
    const value = 10 ** (low + i);
    return line(0, y(value), PANEL.width, y(value), theme) + label(-6, y(value) + 4, short(value), theme, "end");
  });
  const title = `${isRate ? "deliveries/s" : "latency in ms"}: ${row.panel?.title ?? ""}`;
  const content = isRate ? bars(outcomes, y, color, theme) : curves(outcomes, y, color, theme);
  return [label(0, -22, title, theme), ...grid, ...content].join("");
}

function bars(outcomes: Outcome[], y: (value: number) => number, color: (name: string) => string, theme: Theme) {
  const step = PANEL.width / outcomes.length;
  return outcomes.map(({ name, rate, spread: [least, most] }, i) => {
    const [x, top] = [(i + 0.2) * step, y(rate)];
    const bar = `<rect x="${round(x)}" y="${round(top)}" width="${round(step * 0.6)}" height="${round(PANEL.height - top)}" fill="${color(name)}"/>`;
    const middle = (i + 0.5) * step;
    return (
      bar +
      line(middle, y(most), middle, y(least), theme, theme.text) +
      label(middle, y(most) - 6, short(rate), theme, "middle")
    );
  });
}

function curves(outcomes: Outcome[], y: (value: number) => number, color: (name: string) => string, theme: Theme) {
  const marks = NINES.map(([part, text]) => {
    const x = across(part);
    return line(x, 0, x, PANEL.height, theme) + label(x, PANEL.height + 18, text, theme, "middle");
  });
  const lines = outcomes.map((outcome) => {
    const points = curve(outcome).map(([part, value]) => `${round(across(part))},${round(y(value))}`);
    return `<polyline points="${points.join(" ")}" fill="none" stroke="${color(outcome.name)}" stroke-width="2"/>`;
  });
  return [...marks, ...lines];
}

/** Returns the points of a percentile curve: parts and milliseconds. */
function curve({ latencies }: Outcome): [part: number, milliseconds: number][] {
  const points = PARTS.map((part): [number, number] => [part, quantile(latencies, part)]);
  return points.filter(([, value]) => value > 0);
}

/** Returns where a part is on an axis on which each nine takes the same space. */
function across(part: number): number {
  const nines = (value: number) => -Math.log10(1 - value);
  return (PANEL.width * (nines(part) - nines(0.5))) / (nines(0.999) - nines(0.5));
}

function line(x1: number, y1: number, x2: number, y2: number, { grid }: Theme, stroke = grid): string {
  return `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" stroke="${stroke}"/>`;
}

function label(x: number, y: number, text: string, { text: fill }: Theme, anchor = "start"): string {
  return `<text x="${round(x)}" y="${round(y)}" fill="${fill}" text-anchor="${anchor}">${text}</text>`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

/** Formats a number with two digits and a unit for thousands or millions. */
function short(value: number): string {
  const [unit, size]: [string, number] = value >= 1e6 ? ["M", 1e6] : value >= 1e3 ? ["k", 1e3] : ["", 1];
  return `${Number((value / size).toPrecision(2))}${unit}`;
}
