import { expect, test } from "vitest";
import { explain } from "../../../src/console/explanations.ts";

const AND_POSITION = " Its position is one higher than that of the previous message.";

test.each<[line: string, explanation: string]>([
  ["news!hello", `A message on 'news'.${AND_POSITION}`],
  ["news!enter ann", `A message on 'news'.${AND_POSITION}`],
  ['presence/news!enter ann {"x":1}', `'ann' has entered 'news'.${AND_POSITION}`],
  ["presence/news!update ann", `'ann' has other data on 'news'.${AND_POSITION}`],
  ["presence/news!leave ann", `'ann' has left 'news', or has been disconnected for too long.${AND_POSITION}`],
  ["presence/news!vanish ann", `A message on 'presence/news'.${AND_POSITION}`],
  [
    "debug!members news 17 2",
    "The members of 'news' follow, with this number of lines. 'subscribe presence/news since 17' receives all later changes.",
  ],
  ["debug!member news ann", "'ann' is present on 'news'."],
  ["debug!member news ann a b", "'ann' is present on 'news', with this data."],
  ["debug!membership news", "Unknown to this page; the server may be newer."],
])("received: %s", (line, explanation) => {
  expect(explain("in", line)).toBe(explanation);
});

test.each<[line: string, explanation: string]>([
  [
    "enter news ann {}",
    "Makes this connection present on 'news' as 'ann', or changes its data. Only a refusal gets a reply.",
  ],
  ["enter news", "The server refuses this line: the name of a member is missing."],
  ["leave news", "Ends this connection's presence on 'news' at once. A lost connection ends it after a grace period."],
  ["members news", "Requests the members of 'news', and the position of 'presence/news' at which the list is true."],
  ["subscribe news", "Subscribes to 'news'."],
  ["subscribe news since 7", "Subscribes to 'news' from this position on; missed messages come first."],
  ["subscribe presence/news", "Subscribes to 'presence/news', the changes of the members of 'news'."],
  [
    "subscribe presence/news since 17",
    "Subscribes to 'presence/news', the changes of the members of 'news', from this position on; missed messages come first.",
  ],
])("sent: %s", (line, explanation) => {
  expect(explain("out", line)).toBe(explanation);
});
