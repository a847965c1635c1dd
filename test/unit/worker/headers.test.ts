/** Parsing of request headers, however clients write them. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { accepts, lastEventId, preferredType, typeOf, wordsOf } from "../../../src/worker/headers.ts";

function requestWith(headers: Record<string, string>, path = "/"): Request {
  return new Request(`http://fanout.test${path}`, { headers });
}

describe("a media type", () => {
  const EVENTS = "text/event-stream";

  test.each([
    "text/event-stream",
    "TEXT/Event-Stream",
    "text/plain, text/event-stream",
    "text/event-stream;q=0.1",
    "text/event-stream ; charset=utf-8",
    "*/*;q=0.5,text/event-stream",
    'text/plain;note="a, b";q=1, text/event-stream',
  ])("is accepted by '%s'", (Accept) => {
    expect(accepts(requestWith({ Accept }), EVENTS)).toBe(true);
  });

  test.each([
    "",
    "*/*",
    "text/*",
    "text/event-streams",
    "x-text/event-stream",
    "text/event-stream;q=0",
    "text/event-stream; Q=0.000",
    "text/event-stream;q=none",
    'text/plain;note=", text/event-stream"',
  ])("isn't accepted by '%s'", (Accept) => {
    expect(accepts(requestWith({ Accept }), EVENTS)).toBe(false);
  });

  test("is preferred if it has the greatest weight, or is the first of several", () => {
    const best = (Accept: string) => preferredType(requestWith({ Accept }));
    expect(best("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")).toBe("text/html");
    expect(best("application/json;q=0.9, Text/HTML")).toBe("text/html");
    expect(best("text/html;q=0.5, text/event-stream")).toBe("text/event-stream");
    expect(preferredType(requestWith({}))).toBeUndefined();
  });
});

test.each([
  ["text/plain", undefined],
  ["text/plain;charset=utf-8", "utf-8"],
  ['Text/Plain; Charset="UTF-8"', "utf-8"],
  ['text/plain; charset="ut\\f-8"', "utf-8"],
  ['text/plain; note="charset=utf-16"', undefined],
  ['text/plain; note="; charset=utf-16"; charset=utf-8', "utf-8"],
])("a body of type '%s' has the charset %s", (type, charset) => {
  expect(typeOf(requestWith({ "Content-Type": type }))).toEqual({ type: "text/plain", charset });
});

test("words of a list may have any case, and any space around them", () => {
  expect(wordsOf(requestWith({ "Content-Encoding": " Identity ,, GZIP " }), "Content-Encoding")).toEqual([
    "identity",
    "gzip",
  ]);
});

test("the last event's id is a header, or a query parameter with any of the polyfills' names", () => {
  const names = ["lastEventId", "lastEventID", "Last-Event-ID", "last-event-id"];
  for (const name of names) expect(lastEventId(requestWith({}, `/news?${name}=1.2`))).toBe("1.2");
  expect(lastEventId(requestWith({ "Last-Event-ID": "3.4" }, "/?lastEventId=1.2"))).toBe("3.4");
  expect(lastEventId(requestWith({ "Last-Event-ID": "" }, "/?lastEventId=1.2"))).toBe("1.2");
  for (const path of ["/", "/?lastEventId=", "/?event=1"]) expect(lastEventId(requestWith({}, path))).toBe(undefined);
});

test("any header is parsed in linear time", () => {
  const text = fc.array(fc.constantFrom(...'",;=\\ ', "text/html", "q", "0", "a")).map((parts) => parts.join(""));
  fc.assert(
    fc.property(text, (Accept) => {
      accepts(requestWith({ Accept, "Content-Type": Accept }), "text/html");
      typeOf(requestWith({ "Content-Type": Accept }));
    }),
  );
  // Quadratic, this would take minutes.
  for (const part of ['"\\', '",', ";=", "a;q=", '\\"']) {
    accepts(requestWith({ Accept: part.repeat(500_000) }), "text/html");
  }
});
