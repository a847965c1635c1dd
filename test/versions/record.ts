/** Records what today's version writes and says: to be run when that has changed on purpose. */
import { writeFile } from "node:fs/promises";
import { formatRecording } from "./recording.ts";
import { record } from "./scenes.ts";

await writeFile(new URL("recorded.json", import.meta.url), formatRecording(await record()));
