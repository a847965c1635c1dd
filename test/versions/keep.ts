/**
 * Keeps today's version as the one before, with what it writes and says: to be run when a version is released, and
 * at no other time.
 */
import { writeFile } from "node:fs/promises";
import { bundleHeart } from "./bundle.ts";
import { formatRecording } from "./recording.ts";
import { record } from "./scenes.ts";

await writeFile(new URL("before.js", import.meta.url), await bundleHeart());
await writeFile(new URL("before.json", import.meta.url), formatRecording(await record()));
