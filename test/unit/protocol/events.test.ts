/** Server-sent events, and their ids. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { aroundPosition, formatEvent, formatEventAround, formatId, parseId } from "../../../src/protocol/events.ts";

const anyPositions = fc.array(fc.option(fc.maxSafeNat(), { nil: undefined }), { minLength: 1 });

test("ids are parsed back for the right number of channels; everything else is rejected", () => {
  fc.assert(
    fc.property(anyPositions, (positions) => {
      expect(parseId(formatId(positions), positions.length)).toEqual(positions);
      expect(parseId(formatId(positions), positions.length + 1)).toBeUndefined();
    }),
  );
  for (const id of ["", "x", "1.", "-1", "1.5.x", "1e3"]) expect(parseId(id, id.split(".").length)).toBeUndefined();
});

test("formatEventAround agrees with formatEvent", () => {
  fc.assert(
    fc.property(anyPositions, fc.nat(), fc.string({ unit: "binary" }), (positions, n, message) => {
      const at = n % positions.length;
      const around = aroundPosition("news", positions, at);
      const event = formatEvent("news", message, formatId(positions));
      expect(formatEventAround(around, positions[at], message)).toBe(event);
    }),
  );
});

test("no message adds fields to its event, or ends it early", () => {
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
