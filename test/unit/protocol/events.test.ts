/** Server-sent events, and their ids. */
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  aroundPosition,
  formatEvent,
  formatEventAround,
  formatId,
  parseId,
} from "../../../src/protocol/events.ts";

const anyPositions = fc.array(fc.option(fc.maxSafeNat(), { nil: undefined }), { minLength: 1 });

test("an id is read as it was written, for as many channels, and nothing else is one", () => {
  fc.assert(
    fc.property(anyPositions, (positions) => {
      expect(parseId(formatId(positions), positions.length)).toEqual(positions);
      expect(parseId(formatId(positions), positions.length + 1)).toBeUndefined();
    }),
  );
  for (const id of ["", "x", "1.", "-1", "1.5.x", "1e3"])
    expect(parseId(id, id.split(".").length)).toBeUndefined();
});

test("an event made around one position is the event", () => {
  fc.assert(
    fc.property(anyPositions, fc.nat(), fc.string({ unit: "binary" }), (positions, n, message) => {
      const at = n % positions.length;
      const around = aroundPosition("news", positions, at);
      const event = formatEvent("news", message, formatId(positions));
      expect(formatEventAround(around, positions[at], message)).toBe(event);
    }),
  );
});

test("whatever a message is, its event has no other fields and no end within", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "binary" }).filter((text) => !text.includes("\n")),
      (message) => {
        const lines = formatEvent("news", message, "1").split(/\r\n|\r|\n/);
        expect(lines.slice(0, 2)).toEqual(["event: news", "id: 1"]);
        expect(lines.slice(-2)).toEqual(["", ""]);
        const data = lines.slice(2, -2);
        for (const line of data) expect(line.startsWith("data: ")).toBe(true);
        expect(data.map((line) => line.slice("data: ".length)).join("\r")).toBe(message);
      },
    ),
  );
});
