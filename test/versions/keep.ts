/** Keeps today's version as the one before: to be run when a version is released, and at no other time. */
import { writeFile } from "node:fs/promises";
import { bundleHeart } from "./bundle.ts";

await writeFile(new URL("before.js", import.meta.url), await bundleHeart());
