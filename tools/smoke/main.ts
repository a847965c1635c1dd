/** `npm run smoke -- <address>`: whether the server there works, in one line, and as the exit status. */
import { smoke } from "./smoke.ts";

const [, , address = ""] = process.argv;
const { works, says } = await smoke(address, process.env.TOKEN);
if (works) console.log(says);
else console.error(says);
process.exit(works ? 0 : 1);
