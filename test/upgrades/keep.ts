/**
 * Writes the version that is being released, and what it stores and sends, for later versions to be tested against.
 * Run it when a version is released, and at no other time.
 */
import { writeFile } from "node:fs/promises";
import { bundleHeart } from "./bundle.ts";
import { formatRecording } from "./recording.ts";
import { record } from "./scenes.ts";

await writeFile(new URL("before.js", import.meta.url), await bundleHeart());
await writeFile(new URL("before.json", import.meta.url), formatRecording(await record()));
