/**
 * Saves the version being released, and what it stores and sends, so that later versions can be tested against it.
 * Run it only when releasing a version.
 */
import { writeFile } from "node:fs/promises";
import { bundleRelease } from "./bundle.ts";
import { formatRecording } from "./recording.ts";

await writeFile(new URL("before.js", import.meta.url), await bundleRelease());
// The simulation, which performs the scenes, can also run the code that was just saved.
const { record } = await import("./scenes.ts");
await writeFile(new URL("before.json", import.meta.url), formatRecording(await record()));
