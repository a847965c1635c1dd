import { describe, expect, test } from "vitest";
import { type Action, type Language, snippetFor } from "../../../src/console/snippets.ts";

const OPEN = { base: "http://localhost:8787", needsToken: false };
const CLOSED = { base: "https://fanout.example.com/live", needsToken: true };
const announce: Action = { kind: "announce", channel: "news", text: "hello" };
const enter: Action = { kind: "enter", channel: "news", member: "ann", data: '{"x":1}' };
const members: Action = { kind: "members", channel: "news" };
const NO_ENTER = "# HTTP can't enter a channel, because members need a connection; use JavaScript.";
const subscribe: Action = { kind: "subscribe", channel: "news", last: 20 };

const HEADER = `// In a page: <script type="module">. In Node, the module is "fanout-edge/client".
import { Fanout } from "http://localhost:8787/-/client.js";

const fanout = new Fanout("http://localhost:8787");
`;

test.each<[Language, Action, string]>([
  ["curl", announce, "curl --data-raw hello http://localhost:8787/news"],
  ["curl", { ...announce, text: "it's @me" }, "curl --data-raw 'it'\\''s @me' http://localhost:8787/news"],
  ["curl", { ...announce, text: "a\u001bb" }, "printf 'a\\033b' | curl --data-binary @- http://localhost:8787/news"],
  ["curl", members, "curl 'http://localhost:8787/presence/news?members'"],
  ["curl", { ...members, channel: "a/b c" }, "curl 'http://localhost:8787/presence/a%2Fb%20c?members'"],
  ["curl", enter, NO_ENTER],
  ["Python", enter, NO_ENTER],
  ["curl", subscribe, "curl -N 'http://localhost:8787/news?last=20'"],
  ["JavaScript", announce, `${HEADER}console.log(await fanout.announce("news", "hello")); // the message's position`],
  [
    "JavaScript",
    enter,
    `${HEADER}await fanout.enter("news", "ann", "{\\"x\\":1}"); // present while this program runs`,
  ],
  [
    "JavaScript",
    { ...enter, data: "" },
    `${HEADER}await fanout.enter("news", "ann"); // present while this program runs`,
  ],
  [
    "JavaScript",
    members,
    `${HEADER}for await (const { kind, member, data } of fanout.members("news")) console.log(kind, member, data);`,
  ],
  [
    "Python",
    subscribe,
    `from urllib.request import Request, urlopen

request = Request("http://localhost:8787/news?last=20")
for line in urlopen(request):
    print(line.decode(), end="", flush=True)`,
  ],
])("in %s", (language, action, code) => {
  expect(snippetFor(language, action, OPEN)).toBe(code);
});

describe("a token", () => {
  test.each<[Language, string]>([
    ["curl", '-H "Authorization: Bearer $FANOUT_TOKEN"'],
    ["JavaScript", '{ token: "paste the token here" }'],
    ["Python", '"Bearer " + os.environ["FANOUT_TOKEN"]'],
  ])("has a place in %s, if the server needs one", (language, place) => {
    for (const action of [announce, subscribe, members]) {
      expect(snippetFor(language, action, CLOSED)).toContain(place);
      expect(snippetFor(language, action, OPEN)).not.toMatch(/token/i);
    }
  });
});

test.each([".", ".."])("the channel '%s', which no path can name, has code in JavaScript only", (channel) => {
  for (const language of ["curl", "Python"] as const) {
    expect(snippetFor(language, { ...announce, channel }, OPEN)).toBe(
      `# HTTP can't name the channel '${channel}'; use JavaScript.`,
    );
  }
  expect(snippetFor("JavaScript", { ...announce, channel }, OPEN)).toContain(`announce("${channel}", "hello")`);
});
