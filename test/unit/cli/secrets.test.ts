import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { environmentWithoutSecrets, isExposed, secretFrom } from "../../../src/cli/secrets.ts";

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

test("a secret comes from its file, or else from its variable", () => {
  const folder = mkdtempSync(join(tmpdir(), "secrets-"));
  onTestFinished(() => {
    rmSync(folder, { recursive: true });
    vi.unstubAllEnvs();
  });
  const file = (content: string) => {
    writeFileSync(join(folder, "token"), content);
    return join(folder, "token");
  };
  vi.stubEnv("FANOUT_TOKEN", " from-variable\n");
  expect(secretFrom(undefined, "FANOUT_TOKEN")).toBe("from-variable");
  expect(secretFrom(file(" from-file\n"), "FANOUT_TOKEN")).toBe("from-file");
  expect(() => secretFrom(file("\n"), "FANOUT_TOKEN")).toThrow(/is empty; write the value of FANOUT_TOKEN to it/);
  expect(() => secretFrom(join(folder, "none"), "FANOUT_TOKEN")).toThrow(/the secret can't be read/);
  expect(environmentWithoutSecrets()).not.toHaveProperty("FANOUT_TOKEN");
  vi.stubEnv("FANOUT_TOKEN", " ");
  expect(secretFrom(undefined, "FANOUT_TOKEN")).toBeUndefined();
});
