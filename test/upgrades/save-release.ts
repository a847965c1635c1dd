/**
 * Saves the version being released, and what it stores and sends, so that later versions can be tested against it.
 * Run it only when releasing a version.
 */
import { writeFile } from "node:fs/promises";
import { bundleRelease } from "./bundle.ts";
import { formatRecording } from "./recording.ts";
import { record } from "./scenes.ts";

await writeFile(new URL("before.js", import.meta.url), await bundleRelease());
await writeFile(new URL("before.json", import.meta.url), formatRecording(await record()));
