import { expect, test } from "vitest";
import { isExposed } from "../../../src/cli/secrets.ts";

test.each([
  ["ws://example.com", true],
  ["HTTP://192.0.2.1:8787", true],
  ["ws://127.0.0.1.example.com", true],
  ["wss://example.com", false],
  ["ws://localhost:8787", false],
  ["ws://127.0.0.1:8787", false],
  ["ws://[::1]:8787", false],
])("a token for %s is sent unencrypted: %s", (url, is) => {
  expect(isExposed(url)).toBe(is);
});
