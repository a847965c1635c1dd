/** The settings that say who may come in, and what they have to be. */
import { describe, expect, test } from "vitest";
import { SettingError } from "../../../src/runtime/limits.ts";
import { checkSecret, publicSettings, readSettings } from "../../../src/worker/settings.ts";
import { SECRET } from "../../runtime/support/mint.ts";
import { wrongSettings } from "./wrong-settings.ts";

/** Why settings cannot be used. */
function fault(variables: Record<string, unknown>): string {
  try {
    readSettings(variables);
  } catch (error) {
    if (error instanceof SettingError) return error.message;
    throw error;
  }
  throw new Error(`these can be used: ${JSON.stringify(variables)}`);
}

test.each(wrongSettings)("%s cannot be used", (_, settings) => {
  for (const { variables, says } of settings) {
    expect(fault(variables)).toBe(says);
  }
});

test("what is told of them could be set again, and has nothing that is secret", () => {
  const variables = {
    LINES_PER_SECOND: "7",
    HISTORY_CHANNELS: "news, sport/*",
    ALLOWED_ORIGINS: "https://a.example,https://b.example",
  };
  const settings = readSettings(variables);
  const told = publicSettings(readSettings({ ...variables, TOKEN_SECRET: SECRET }));
  expect(readSettings(told)).toEqual(settings);
  expect(told).toMatchObject({ LINES_PER_SECOND: 7, HISTORY_CHANNELS: "news sport/*" });
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

  test("are any, or those of the site around the server", () => {
    for (const none of [undefined, ""]) {
      expect(origins(none)).toBeUndefined();
      expect(origins(none, own)).toEqual(own);
    }
    expect(origins("*")).toBeUndefined();
    expect(origins("*", own)).toBeUndefined();
  });

  test("are those that are listed, besides those of the site", () => {
    const listed = ["https://a.example", "tauri://localhost", "null"];
    expect(origins(listed.join(" ,\n"))).toEqual(listed);
    expect(origins(listed.join(","), own)).toEqual([...listed, ...own]);
    expect(origins(own[0], own)).toEqual(own);
  });
});

describe("settings of tokens", () => {
  const keys = "https://example.com/jwks.json";

  test("are a secret, with an audience and an issuer or without, or where public keys are, with an audience", () => {
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

  test("may have the secret before, which may still be the same", () => {
    for (const previous of [SECRET, `${SECRET}, another`]) {
      const { tokens } = readSettings({ TOKEN_SECRET: SECRET, TOKEN_SECRET_PREVIOUS: previous });
      expect(tokens).toEqual({ secret: SECRET, previous });
    }
  });

  test("may be those of the README on this machine alone", () => {
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
    for (const variables of [
      { TOKEN_SECRET: example },
      { TOKEN_SECRET: SECRET, TOKEN_SECRET_PREVIOUS: example },
    ]) {
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

  test("may be empty, which is none", () => {
    expect(readSettings({}).tokens).toBeUndefined();
    const empty = { TOKEN_SECRET: "", TOKEN_JWKS_URL: "", TOKEN_AUDIENCE: "" };
    expect(readSettings(empty).tokens).toBeUndefined();
    expect(readSettings({ ...empty, TOKEN_SECRET: SECRET }).tokens).toEqual({ secret: SECRET });
  });

  test("have a secret of 32 bytes at least", () => {
    for (const secret of ["s".repeat(32), "\u00e9".repeat(16), "\u{1f600}".repeat(8)]) {
      expect(readSettings({ TOKEN_SECRET: secret }).tokens).toEqual({ secret });
    }
  });

  test("have keys at a URL that nobody on the way can change", () => {
    const local = ["http://localhost/keys", "http://localhost:8080/keys", "http://127.0.0.1:1/"];
    for (const url of [keys, "https://example.com", ...local]) {
      const { tokens } = readSettings({ TOKEN_JWKS_URL: url, TOKEN_AUDIENCE: "fanout" });
      expect(tokens).toEqual({ keys: url, audience: "fanout" });
    }
  });
});
