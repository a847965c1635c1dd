/** A program that uses the client library, for any JavaScript runtime. Arguments: the server's URL and a channel. */
import process from "node:process";
import { Fanout } from "../../../src/client/fanout.ts";

const [, , url = "", channel = ""] = process.argv;
const fanout = new Fanout(url);
const subscription = fanout.subscribe(channel);
const positions: (number | undefined)[] = [];
const announcing = (async () => {
  for (const text of ["hello", "again"]) positions.push(await fanout.announce(channel, text));
})();
let count = 0;
for await (const { text } of subscription) {
  console.log(text);
  count += 1;
  if (count === 2) break;
}
await announcing;
console.log(Number(positions[1]) - Number(positions[0]));
await fanout.close();
