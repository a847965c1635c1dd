/** Writes what objects store and send, one line per shape, to read or to compare with an earlier run. */
import { writeFile } from "node:fs/promises";
import { formatRecording } from "./recording.ts";
import { record } from "./scenes.ts";

await writeFile(new URL("recorded.json", import.meta.url), formatRecording(await record()));
