/** Draws deliveries per second against the number of subscribers, as SVG; both scales are logarithmic. */

export interface Line {
  label: string;
  color: string;
  /** Deliveries per second, for each number of subscribers. */
  rates: number[];
}

const WIDTH = 800;
const HEIGHT = 440;
/** The plot's edges. */
const LEFT = 92;
const RIGHT = 590;
const TOP = 92;
const BOTTOM = 374;
/** The height of a label. */
const LABEL_HEIGHT = 38;

export function picture(title: string, subtitle: string, subscribers: number[], lines: Line[]): string {
  const rates = lines.flatMap((line) => line.rates);
  const lowest = Math.floor(Math.log10(Math.min(...rates)));
  const highest = Math.ceil(Math.log10(Math.max(...rates)));
  const x = scale(Math.log10(Math.min(...subscribers)), Math.log10(Math.max(...subscribers)), LEFT, RIGHT);
  const y = scale(lowest, highest, BOTTOM, TOP);
  const decades = Array.from({ length: highest - lowest + 1 }, (_, index) => 10 ** (lowest + index));

  const grid = decades.map((rate) => {
    const at = y(rate).toFixed(1);
    return (
      `<path class="grid" d="M${LEFT} ${at}H${RIGHT}"/>` +
      `<text x="${LEFT - 12}" y="${at}" dy="4" text-anchor="end">${inWords(rate)}</text>`
    );
  });
  const ticks = subscribers.map((count) => {
    const at = x(count).toFixed(1);
    return `<text x="${at}" y="${BOTTOM + 24}" text-anchor="middle">${count.toLocaleString("en-US")}</text>`;
  });
  const labels = apart(lines.map(({ rates }) => y(rates.at(-1) ?? 1)));
  const drawn = lines.map(({ label, color, rates }, index) => {
    const points = rates.map((rate, at) => [x(subscribers[at] ?? 1).toFixed(1), y(rate).toFixed(1)] as const);
    const dots = points.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="4" fill="${color}"/>`);
    const labelAt = (labels[index] ?? 0).toFixed(1);
    return (
      `<path d="M${points.map((point) => point.join(" ")).join("L")}" stroke="${color}" class="line"/>${dots.join("")}` +
      `<text class="label" x="${RIGHT + 14}" y="${labelAt}" dy="-2" style="fill: ${color}">${label}</text>` +
      `<text x="${RIGHT + 14}" y="${labelAt}" dy="15">${inWords(rates.at(-1) ?? 0)}</text>`
    );
  });

  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img">
<title>${title}</title>
<style>
text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #59636e }
.title { font-size: 18px; font-weight: 600; fill: #1f2328 }
.label { font-size: 14px; font-weight: 600 }
.grid { stroke: #d1d9e0 }
.line { fill: none; stroke-width: 2.5; stroke-linejoin: round }
</style>
<rect x="0.5" y="0.5" width="${WIDTH - 1}" height="${HEIGHT - 1}" rx="8" fill="#fff" stroke="#d1d9e0"/>
<text class="title" x="24" y="38">${title}</text>
<text x="24" y="60">${subtitle}</text>
${[...grid, ...ticks, ...drawn].join("\n")}
<text x="${(LEFT + RIGHT) / 2}" y="${BOTTOM + 48}" text-anchor="middle">subscribers of one channel</text>
</svg>
`;
}

/** Returns a scale that maps values, whose logarithms lie between `from` and `to`, to `start` … `end`. */
function scale(from: number, to: number, start: number, end: number): (value: number) => number {
  return (value) => start + ((Math.log10(value) - from) / (to - from)) * (end - start);
}

/** Moves down labels that would overlap the one above. */
function apart(heights: number[]): number[] {
  const placed: number[] = [];
  let free = Number.NEGATIVE_INFINITY;
  for (const [index, height] of [...heights.entries()].sort(([, one], [, other]) => one - other)) {
    placed[index] = Math.max(height, free);
    free = (placed[index] ?? 0) + LABEL_HEIGHT;
  }
  return placed;
}

function inWords(rate: number): string {
  if (rate >= 1e6) return `${Number((rate / 1e6).toPrecision(2))} million`;
  return Number(rate.toPrecision(2)).toLocaleString("en-US");
}
