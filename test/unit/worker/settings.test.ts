/** Settings of access, and their validation. */
import { describe, expect, test } from "vitest";
import { SettingError } from "../../../src/runtime/limits.ts";
import { checkSecret, publicSettings, readSettings } from "../../../src/worker/settings.ts";
import { SECRET } from "../../runtime/support/mint.ts";
import { wrongSettings } from "./wrong-settings.ts";

/** Returns the error of invalid settings. */
function fault(variables: Record<string, unknown>): string {
  try {
    readSettings(variables);
  } catch (error) {
    if (error instanceof SettingError) return error.message;
    throw error;
  }
  throw new Error(`these are valid: ${JSON.stringify(variables)}`);
}

test.each(wrongSettings)("%s are refused", (_, settings) => {
  for (const { variables, says } of settings) {
    expect(fault(variables)).toBe(says);
  }
});

test("public settings can be set again, and contain no secret", () => {
  const variables = {
    LINES_PER_SECOND: "7",
    PRESENCE_GRACE_SECONDS: "30",
    MEMBERS_PER_CHANNEL: "5",
    HISTORY_CHANNELS: "news, sport/*",
    ALLOWED_ORIGINS: "https://a.example,https://b.example",
  };
  const settings = readSettings(variables);
  const told = publicSettings(readSettings({ ...variables, TOKEN_SECRET: SECRET }));
  expect(readSettings(told)).toEqual(settings);
  expect(told).toMatchObject({
    LINES_PER_SECOND: 7,
    HISTORY_CHANNELS: "news sport/*",
    PRESENCE_GRACE_SECONDS: 30,
    MEMBERS_PER_CHANNEL: 5,
  });
  expect(JSON.stringify(told)).not.toContain(SECRET);
  expect(readSettings(publicSettings(readSettings({})))).toEqual(readSettings({}));
});

test("the console is on unless it is switched off", () => {
  expect([{}, { CONSOLE: "on" }, { CONSOLE: "off" }].map((some) => readSettings(some).hasConsole)).toEqual([
    true,
    true,
    false,
  ]);
  expect(publicSettings(readSettings({ CONSOLE: "off" }))).toMatchObject({ CONSOLE: "off" });
  expect(fault({ CONSOLE: "no" })).toBe("CONSOLE must be 'on' or 'off', not 'no'");
});

describe("origins that may connect", () => {
  const own = ["https://site.example"];
  const origins = (list: string | undefined, always?: string[]) =>
    readSettings({ ALLOWED_ORIGINS: list }, always).allowedOrigins;

  test("default to any, or to the surrounding site's own", () => {
    for (const none of [undefined, ""]) {
      expect(origins(none)).toBeUndefined();
      expect(origins(none, own)).toEqual(own);
    }
    expect(origins("*")).toBeUndefined();
    expect(origins("*", own)).toBeUndefined();
  });

  test("are those listed and the surrounding site's own", () => {
    const listed = ["https://a.example", "tauri://localhost", "null"];
    expect(origins(listed.join(" ,\n"))).toEqual(listed);
    expect(origins(listed.join(","), own)).toEqual([...listed, ...own]);
    expect(origins(own[0], own)).toEqual(own);
  });
});

describe("settings of tokens", () => {
  const keys = "https://example.com/jwks.json";

  test("are a secret, optionally with an audience and an issuer, or a URL of public keys with an audience", () => {
    for (const audience of [undefined, "fanout"]) {
      for (const issuer of [undefined, "https://issuer.example"]) {
        const more = { TOKEN_AUDIENCE: audience, TOKEN_ISSUER: issuer };
        const { tokens } = readSettings({ TOKEN_SECRET: SECRET, ...more });
        expect(tokens).toEqual({ secret: SECRET, audience, issuer });
        if (audience === undefined) continue;
        expect(readSettings({ TOKEN_JWKS_URL: keys, ...more }).tokens).toEqual({ keys, audience, issuer });
      }
    }
  });

  test("may include the previous secret, even if it is the same", () => {
    for (const previous of [SECRET, `${SECRET}, another`]) {
      const { tokens } = readSettings({ TOKEN_SECRET: SECRET, TOKEN_SECRET_PREVIOUS: previous });
      expect(tokens).toEqual({ secret: SECRET, previous });
    }
  });

  test("may be the README's example on this machine only", () => {
    const example = "an-example-with-more-than-32-bytes";
    const from = (url: string, address?: string) =>
      new Request(url, address === undefined ? {} : { headers: { "CF-Connecting-IP": address } });
    const here = ["http://localhost:8787/", "http://127.0.0.1/news", "http://[::1]:8787/"];
    const there = [
      "https://fanout.example/",
      "http://192.0.2.1:8787/",
      "http://localhost.example/",
      "http://a.localhost/",
    ];
    for (const variables of [{ TOKEN_SECRET: example }, { TOKEN_SECRET: SECRET, TOKEN_SECRET_PREVIOUS: example }]) {
      const settings = readSettings(variables);
      const refuses = (request: Request) =>
        expect(() => checkSecret(settings, request)).toThrow("TOKEN_SECRET is the README's example");
      for (const url of here) {
        checkSecret(settings, from(url));
        checkSecret(settings, from(url, "127.0.0.1"));
        refuses(from(url, "192.0.2.1"));
      }
      for (const url of there) refuses(from(url));
    }
    for (const url of there) checkSecret(readSettings({ TOKEN_SECRET: SECRET }), from(url));
    for (const url of there) checkSecret(readSettings({}), from(url));
  });

  test("count as unset if they are empty", () => {
    expect(readSettings({}).tokens).toBeUndefined();
    const empty = { TOKEN_SECRET: "", TOKEN_JWKS_URL: "", TOKEN_AUDIENCE: "" };
    expect(readSettings(empty).tokens).toBeUndefined();
    expect(readSettings({ ...empty, TOKEN_SECRET: SECRET }).tokens).toEqual({ secret: SECRET });
  });

  test("need a secret of at least 32 bytes", () => {
    for (const secret of ["s".repeat(32), "\u00e9".repeat(16), "\u{1f600}".repeat(8)]) {
      expect(readSettings({ TOKEN_SECRET: secret }).tokens).toEqual({ secret });
    }
  });

  test("need a URL of keys that the network can't tamper with", () => {
    const local = ["http://localhost/keys", "http://localhost:8080/keys", "http://127.0.0.1:1/"];
    for (const url of [keys, "https://example.com", ...local]) {
      const { tokens } = readSettings({ TOKEN_JWKS_URL: url, TOKEN_AUDIENCE: "fanout" });
      expect(tokens).toEqual({ keys: url, audience: "fanout" });
    }
  });
});
