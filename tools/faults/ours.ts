/** This project's own program, as a client for the fault kit. */
import { fileURLToPath } from "node:url";

const pathOf = (file: string) => fileURLToPath(new URL(`../../${file}`, import.meta.url));
const program = `"${pathOf("node_modules/.bin/node")}" "${pathOf("src/cli/main.ts")}"`;

export const OURS = { listen: `exec ${program} sub judged`, announce: `exec ${program} pub said` };
