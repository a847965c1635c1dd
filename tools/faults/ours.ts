/** This project's own program, as the fault kit runs it. */
import { fileURLToPath } from "node:url";

const pathOf = (file: string) => fileURLToPath(new URL(`../../${file}`, import.meta.url));
const program = `"${pathOf("node_modules/.bin/node")}" "${pathOf("src/cli/main.ts")}"`;

export const OURS = { listen: `exec ${program} sub judged`, announce: `exec ${program} pub said` };
