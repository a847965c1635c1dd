/** Command lines that are invalid, and addresses without a server. */
import { describe, expect, test } from "vitest";
import { runHere } from "./in-process.ts";

describe("an invalid command line exits with 2, without connecting:", { tags: ["exit-codes"] }, () => {
  const url = "ws://127.0.0.1:1";
  test.each([
    [["pub", url, "a b", "x"]],
    [["pub", url, "debug", "x"]],
    [["pub", url, "a", ""]],
    [["pub", url, "a", "x\ny"]],
    [["pub", url, "a", "x", "--key", "a b"]],
    [["pub", url, "a", "x", "--key", ""]],
    [["pub", url, "a", "--file", "/nonexistent"]],
    [["pub", url, "a", "--file", "/"]],
    [["sub", url, ""]],
    [["sub", url, "a", "--since", "10m"]],
    [["sub", url, "a", "--since", "9007199254740992"]],
    [["sub", url, "a", "--last", "0"]],
    [["sub", url, "a", "--count", "-1"]],
    [["sub", url, "a", "--exec", ""]],
    [["sub", url, "a", "--cursor", ""]],
    [["sub", url, "a", "--ack", "3"]],
    [["sub", url, "--on", "a"]],
    [["ping", url, "--timeout", "0"]],
    [["ping", url, "--timeout", "99999999999"]],
    [["ping", url, "--count", "0"]],
    [["ping", url, "more"]],
    [["info", url, "--token-file", "/nonexistent"]],
    [["bench", url, "--seconds", "0"]],
    [["bench", url, "--channel", "a b"]],
    [["token", "--subscribe", "", "--secret-file", "/dev/null"]],
    [["completion", "tcsh"]],
  ])("%j", async (words) => {
    const { code, err, sent } = await runHere(words);
    expect([code, err, sent]).toEqual([2, expect.stringMatching(/^(fanout|error): .+\n/), ""]);
  });
});

const NAME = "a channel with members has at most 246 bytes";

describe("errors have an exit code and one line:", { tags: ["exit-codes"] }, () => {
  test.each<[what: string, code: number, words: string[], why: RegExp]>([
    ["no address", 2, ["sub", "news"], /^fanout: the address is missing; give one, or set FANOUT_URL\n$/],
    ["no channel", 2, ["sub", "ws://localhost"], /^fanout: the channel is missing; give it after the address\n$/],
    [
      "an address with another scheme",
      2,
      ["ping", "ftp://localhost"],
      /^fanout: the address is "ftp:\/\/localhost"; it takes ws:/,
    ],
    ["an unknown command", 2, ["nonsense"], /^error: unknown command 'nonsense'\nRun/],
    ["a command's name elsewhere", 2, ["subscribe"], /^error: unknown command 'subscribe'\n\(Did you mean sub\?\)\n/],
    ["a misspelled command", 2, ["pubb"], /^error: unknown command 'pubb'\n\(Did you mean pub\?\)\n/],
    ["no lines per second", 2, ["pub", "ws://localhost", "a", "b", "--rate", "0"], /whole number from 1 to 1000000/],
    ["an unknown option", 2, ["ping", "--nonsense"], /unknown option/],
    ["not a number", 2, ["sub", "ws://localhost", "a", "--count", "x"], /whole number/],
    ["a message in several words", 2, ["pub", "ws://localhost", "a", "b", "c"], /put it in quotes/],
    ["a name that no member can have", 2, ["token", "--sub", "two words"], /has no space or control character/],
    ["no secret", 2, ["token"], /32 bytes or more/],
    [
      "no server",
      6,
      ["ping", "ws://127.0.0.1:1", "--timeout", "2"],
      /^fanout: the server can't be reached; check the address; trying again for 2 s\nfanout: the server can't be reached; check the address\n$/,
    ],
  ])("%s: %i", async (_, code, words, why) => {
    expect(await runHere(words)).toMatchObject({ code, err: expect.stringMatching(why) });
  });

  test.each<[what: string, code: number, words: string[], why: RegExp]>([
    ["no channel", 2, ["members", "ws://localhost"], /^fanout: the channel is missing; give it after the address\n$/],
    ["two channels", 2, ["members", "ws://localhost", "a", "b"], /too many arguments/],
    ["an invalid channel", 2, ["members", "ws://localhost", "a b"], /^fanout: .+ space/],
    ["a long channel", 2, ["members", "ws://localhost", "x".repeat(247)], new RegExp(`^fanout: ${NAME}\n$`)],
    ["a presence channel", 2, ["members", "ws://localhost", "presence/a"], /^fanout: 'presence\/…' is about another/],
    ["no server", 6, ["members", "ws://127.0.0.1:1", "a", "--timeout", "2"], /^fanout: the server can't be reached/],
  ])("%s of members: %i", async (_, code, words, why) => {
    for (const more of [[], ["--follow"]]) {
      expect(await runHere([...words, ...more])).toMatchObject({ code, out: "", err: expect.stringMatching(why) });
    }
  });
});
