/**
 * Screenshots for the README: they show the conversation in the colours of their scheme, and the stored ones show the
 * same page. `PICTURES=1` stores them in docs/.
 */
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium, type Page } from "playwright-core";
import { expect, onTestFinished, test } from "vitest";
import { removeFolder, temporaryFolder } from "./support/runtime.ts";
import { serveInTest } from "./support/serve.ts";
import { find } from "./support/tools.ts";

const browser = find("chromium", "apt-get install chromium");

const DOCS = fileURLToPath(new URL("../../docs", import.meta.url));

/** Has two clients enter, and breaks one's connection, so that it misses and then resumes a message. */
async function talk(page: Page): Promise<void> {
  const client = (name: string) => page.getByRole("region", { name, exact: true });
  const [ann, bob] = [client("Client 1"), client("Client 2")];
  const announce = async (one: typeof ann, other: typeof ann, text: string) => {
    await one.getByLabel("Message", { exact: true }).fill(text);
    await one.getByLabel("Message", { exact: true }).press("Enter");
    await other.getByText(text, { exact: true }).waitFor();
  };
  const enter = async (one: typeof ann, member: string, data: string) => {
    await one.getByLabel("Member name").fill(member);
    await one.getByLabel("Member data").fill(data);
    await one.getByLabel("Member data").press("Enter");
    await bob.locator(".member", { hasText: member }).waitFor();
  };
  for (const one of [ann, bob]) await one.getByText("connected", { exact: true }).waitFor();
  await enter(ann, "ann", '{"track":7}');
  await enter(bob, "bob", "");
  await announce(ann, bob, "The train leaves from platform 7.");
  await announce(bob, ann, "Thank you!");
  await bob.getByRole("button", { name: "Cut connection" }).click();
  await announce(ann, ann, "It leaves five minutes late.");
  await bob.getByText("delivered on resume").waitFor();
}

/** Width and height of the pictures, and of the squares whose average colours are compared, in pixels. */
const SIZE = { width: 1_200, height: 1_160 };
const SQUARE = 40;

/** By how much a colour may differ from the stored picture's, of 255; and the share of squares that may differ more. */
const MOST_DIFFERENCE = 16;
const MOST_OTHERS = 0.15;

/** An area of a picture, in pixels. */
interface Area {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** Colours of a picture: each is the average of an area, as red, green and blue from 0 to 255. */
type Colour = [red: number, green: number, blue: number];

interface Seen {
  width: number;
  height: number;
  /** The colours of all squares. */
  squares: Colour[];
  /** The number of colours in each area. */
  colours: number[];
}

/** Decodes a picture; runs in the browser, which has a decoder. */
const LOOK = `async (url, size, areas) => {
  const image = new Image();
  image.src = url;
  await image.decode();
  const { width, height } = image;
  const context = Object.assign(document.createElement("canvas"), { width, height }).getContext("2d");
  context.drawImage(image, 0, 0);
  const average = (x, y) => {
    const sum = [0, 0, 0, 0];
    context.getImageData(x, y, size, size).data.forEach((value, i) => (sum[i % 4] += value / (size * size)));
    return sum.slice(0, 3);
  };
  const squares = [];
  for (let y = 0; y + size <= height; y += size) for (let x = 0; x + size <= width; x += size) squares.push(average(x, y));
  const colours = areas.map(({ x, y, width, height }) => {
    const { data } = context.getImageData(x, y, width, height);
    return new Set(new Uint32Array(data.buffer)).size;
  });
  return { width, height, squares, colours };
}`;

function look(page: Page, picture: Buffer, areas: Area[]): Promise<Seen> {
  const url = `data:image/png;base64,${picture.toString("base64")}`;
  return page.evaluate<Seen>(`(${LOOK})(${JSON.stringify(url)}, ${SQUARE}, ${JSON.stringify(areas)})`);
}

const brightness = ([red, green, blue]: Colour) => (red + green + blue) / 3;

/** What a picture must show, where it is in the page. */
const SHOWN = [
  "The train leaves from platform 7.",
  "Thank you!",
  "It leaves five minutes late.",
  "delivered on resume",
];

test.skipIf(!browser).each(["light", "dark"] as const)("a screenshot is taken in %s colours", async (colorScheme) => {
  const folder = await temporaryFolder();
  onTestFinished(() => removeFolder(folder));
  const runtime = await serveInTest();
  const launched = await chromium.launch({ executablePath: browser ?? "", args: ["--no-sandbox"] });
  onTestFinished(() => launched.close());
  const page = await launched.newPage({ viewport: SIZE, colorScheme });
  await page.goto(`${runtime.url.replace(/^ws/, "http")}/trains`);
  await talk(page);
  const target = process.env.PICTURES ? DOCS : folder;
  await mkdir(target, { recursive: true });
  const picture = await page.screenshot({ path: join(target, `console-${colorScheme}.png`) });

  const areas: Area[] = [];
  for (const text of SHOWN) {
    const area = await page
      .getByRole("region", { name: "Client 2", exact: true })
      .getByText(text)
      .first()
      .boundingBox();
    if (!area) throw new Error(`'${text}' isn't visible`);
    areas.push(area);
    expect(area.x >= 0 && area.y >= 0).toBe(true);
    expect(area.x + area.width <= SIZE.width && area.y + area.height <= SIZE.height, `'${text}' is inside`).toBe(true);
  }
  const eye = await launched.newPage();
  const seen = await look(eye, picture, areas);
  expect(seen).toMatchObject(SIZE);
  const mean = seen.squares.reduce((sum, colour) => sum + brightness(colour), 0) / seen.squares.length;
  if (colorScheme === "light") expect(mean).toBeGreaterThan(200);
  else expect(mean).toBeLessThan(60);
  // Letters have edges of many shades.
  for (const [i, count] of seen.colours.entries()) expect(count, `'${SHOWN[i]}' is drawn`).toBeGreaterThan(10);

  const stored = await look(eye, await readFile(join(DOCS, `console-${colorScheme}.png`)), []);
  expect(stored).toMatchObject(SIZE);
  const others = stored.squares.filter((colour, i) => {
    const now = seen.squares[i] ?? colour;
    return colour.some((value, part) => Math.abs(value - (now[part] ?? 0)) > MOST_DIFFERENCE);
  });
  // Times, positions and the plots differ from run to run, and fonts from machine to machine.
  console.log(
    `brightness ${mean}, colours ${seen.colours}, ${others.length} of ${stored.squares.length} squares differ`,
  );
  expect(others.length / stored.squares.length).toBeLessThan(MOST_OTHERS);
});
