/** The permissions that grants include: names, prefixes, and the special case `all`. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Grants,
  grantsFault,
  hasExpired,
  isGrants,
  mayAnnounce,
  mayEnter,
  mayEnterAs,
  mayOperate,
  maySeeNames,
  maySubscribe,
} from "../../../src/auth/grants.ts";
import { channelFault } from "../../../src/protocol/channels.ts";
import { presenceOf } from "../../../src/protocol/members.ts";

/** Few letters, so that names often match patterns. */
const text = fc.string({ unit: fc.constantFrom("a", "b", "/", "*", "\u00e9", "\u{1f600}"), maxLength: 5 });
const name = fc
  .oneof(text, fc.constantFrom("all", "all/", "al", "__proto__", "constructor", "*", "**"))
  .filter((candidate) => channelFault(candidate) === undefined);
const channel = name.filter((candidate) => candidate !== "all");
const patterns = fc.array(fc.oneof(text, name, fc.constantFrom("all", "al*", "a*", "*")), { maxLength: 4 });

function grants(subscribe: string[], announce: string[] = [], enter?: string[]): Grants {
  return { subscribe, announce, enter, until: 0, key: "key" };
}

const mays = [
  { may: "maySubscribe", ask: maySubscribe, allowing: (list: string[]) => grants(list) },
  { may: "mayAnnounce", ask: mayAnnounce, allowing: (list: string[]) => grants([], list) },
  { may: "mayEnter", ask: mayEnter, allowing: (list: string[]) => grants([], [], list) },
];

describe.each(mays)("$may", ({ ask, allowing }) => {
  test("allows nothing on an empty list, and everything without grants", { tags: ["token-grants"] }, () => {
    fc.assert(
      fc.property(channel, (wanted) => {
        expect(ask(allowing([]), wanted)).toBe(false);
        expect(ask(undefined, wanted)).toBe(true);
      }),
    );
    expect(ask(undefined, "all")).toBe(true);
  });

  test("matches a name without '*' exactly", () => {
    fc.assert(
      fc.property(channel, channel, (listed, wanted) => {
        fc.pre(!listed.endsWith("*"));
        expect(ask(allowing([listed]), wanted)).toBe(listed === wanted);
      }),
    );
  });

  test("matches a pattern that ends in '*' with all names that have the prefix, and with the prefix itself", () => {
    fc.assert(
      fc.property(text, channel, (start, wanted) => {
        expect(ask(allowing([`${start}*`]), wanted)).toBe(wanted.slice(0, start.length) === start);
        expect(ask(allowing([`${start}*`]), `${start}x`)).toBe(true);
        expect(ask(allowing(["*"]), wanted)).toBe(true);
      }),
    );
  });

  test("treats '*' elsewhere, '?', '.', '/' and case literally", () => {
    const examples: [pattern: string, yes: string[], no: string[]][] = [
      ["a*c", ["a*c"], ["abc", "ac", "a*", "a*cd"]],
      ["*c", ["*c"], ["c", "abc", "*"]],
      ["a**", ["a*", "a*b", "a**"], ["a", "ab"]],
      ["a\\*", ["a\\", "a\\b"], ["a*", "a"]],
      ["a?", ["a?"], ["ab", "a"]],
      ["a.*", ["a.", "a.b"], ["a", "ab"]],
      ["news/*", ["news/", "news/today", "news/a/b"], ["news", "newsreel", "NEWS/today"]],
      ["", [], ["a", "*", "__proto__"]],
      ["caf\u00e9", ["caf\u00e9"], ["cafe\u0301", "cafe"]],
    ];
    for (const [pattern, yes, no] of examples) {
      for (const wanted of yes)
        expect([pattern, wanted, ask(allowing([pattern]), wanted)]).toEqual([pattern, wanted, true]);
      for (const wanted of no)
        expect([pattern, wanted, ask(allowing([pattern]), wanted)]).toEqual([pattern, wanted, false]);
    }
  });

  test("allows what any pattern of a list allows, in any order", () => {
    fc.assert(
      fc.property(patterns, channel, (list, wanted) => {
        const any = list.some((pattern) => ask(allowing([pattern]), wanted));
        expect(ask(allowing(list), wanted)).toBe(any);
        expect(ask(allowing(list.toReversed()), wanted)).toBe(any);
      }),
    );
  });
});

test("the lists are independent", () => {
  fc.assert(
    fc.property(patterns, patterns, patterns, channel, (subscribe, announce, enter, wanted) => {
      const both = grants(subscribe, announce, enter);
      expect(maySubscribe(both, wanted)).toBe(maySubscribe(grants(subscribe), wanted));
      expect(mayAnnounce(both, wanted)).toBe(mayAnnounce(grants([], announce), wanted));
      expect(mayEnter(both, wanted)).toBe(mayEnter(grants([], [], enter), wanted));
    }),
  );
});

describe("'all'", () => {
  test("may always be subscribed to", () => {
    fc.assert(fc.property(patterns, (list) => maySubscribe(grants(list), "all")));
  });

  test("may be announced on and entered only if the list names it literally", { tags: ["token-all"] }, () => {
    fc.assert(fc.property(patterns, (list) => mayAnnounce(grants(["all"], list), "all") === list.includes("all")));
    fc.assert(fc.property(patterns, (list) => mayEnter(grants(["all"], [], list), "all") === list.includes("all")));
    for (const list of [["*"], ["all*"], ["a*"], ["al*", "*"], ["All"], ["all "]]) {
      expect(mayAnnounce(grants([], list), "all")).toBe(false);
      expect(mayEnter(grants([], [], list), "all")).toBe(false);
    }
  });

  test("isn't a prefix of other names", () => {
    for (const ask of [maySubscribe, mayAnnounce]) expect(ask(grants(["all"], ["all"]), "allies")).toBe(false);
  });
});

describe("the presence of a channel", () => {
  test("may be subscribed to by all who may subscribe to the channel or to its presence", () => {
    fc.assert(
      fc.property(patterns, name, (list, wanted) => {
        const own = list.some((pattern) => maySubscribe(grants([pattern]), wanted));
        const some = grants([...list, "presence/other"]);
        fc.pre(!list.includes("*"));
        expect(maySubscribe(some, presenceOf(wanted))).toBe(own || wanted === "all" || wanted === "other");
      }),
    );
    expect(maySubscribe(grants([]), presenceOf("all"))).toBe(true);
    expect(maySubscribe(grants(["presence/news"]), presenceOf("news"))).toBe(true);
    expect(maySubscribe(grants(["presence/*"]), presenceOf("news"))).toBe(true);
    expect(maySubscribe(grants(["news"]), presenceOf("news/today"))).toBe(false);
  });

  test("gives no right to the channel itself", () => {
    expect(maySubscribe(grants(["presence/news", "presence/*"]), "news")).toBe(false);
  });

  test("of presence doesn't exist", () => {
    expect(maySubscribe(grants(["news"]), "presence/presence/news")).toBe(false);
  });
});

test("a token with a subject enters only under that name, byte for byte", { tags: ["enter-subject"] }, () => {
  const ann = { ...grants([], [], ["*"]), sub: "ann" };
  expect(["ann", "Ann", "ann ", "bob", ""].map((member) => mayEnterAs(ann, member))).toEqual([
    true,
    false,
    false,
    false,
    false,
  ]);
  // An empty subject is one, which no member can have.
  expect(mayEnterAs({ ...ann, sub: "" }, "ann")).toBe(false);
  expect([mayEnterAs(grants([], [], ["*"]), "bob"), mayEnterAs(undefined, "bob")]).toEqual([true, true]);
  expect(mayEnter(grants(["*"], ["*"]), "news")).toBe(false);
});

test("grants expire at their exact millisecond; missing grants never expire", () => {
  const until = 1_795_438_800_000;
  const some = { ...grants([]), until };
  expect(hasExpired(some, until - 1)).toBe(false);
  expect(hasExpired(some, until)).toBe(true);
  expect(hasExpired(some, until + 1)).toBe(true);
  expect(hasExpired(undefined, Number.MAX_SAFE_INTEGER)).toBe(false);
});

test("grants need a valid key, and are needed exactly if the server requires tokens", () => {
  const keys = new Set(["key", "previous"]);
  expect(grantsFault(undefined, undefined)).toBeUndefined();
  for (const key of keys) expect(grantsFault({ ...grants([]), key }, keys)).toBeUndefined();
  expect(grantsFault({ ...grants([]), key: "other" }, keys)).toBe("outdated");
  expect(grantsFault(undefined, keys)).toBe("missing");
  expect(grantsFault(grants([]), undefined)).toBe("needless");
});

test("only operators with a token may see names", () => {
  expect(maySeeNames({ ...grants(["*"], ["*"]), operate: true })).toBe(true);
  expect(maySeeNames(grants(["*"], ["*"]))).toBe(false);
  expect(maySeeNames(undefined)).toBe(false);
});

test("the operators' pages need the claim `operate`, and on a server without tokens they show no names", () => {
  const operating = (operate?: boolean) => ({
    ...grants(["*"], ["*"], ["*"]),
    ...(operate !== undefined && { operate }),
  });
  expect([mayOperate(undefined), maySeeNames(undefined)]).toEqual([true, false]);
  expect([mayOperate(operating(true)), maySeeNames(operating(true))]).toEqual([true, true]);
  for (const denied of [operating(), operating(false)]) {
    expect([mayOperate(denied), maySeeNames(denied)]).toEqual([false, false]);
  }
});

describe("isGrants", () => {
  const good = fc.record(
    {
      subscribe: fc.array(fc.string()),
      announce: fc.array(fc.string()),
      enter: fc.array(fc.string()),
      until: fc.nat(),
      key: fc.string(),
      operate: fc.boolean(),
      sub: fc.string(),
    },
    { requiredKeys: ["subscribe", "announce", "until", "key"] },
  );

  test("accepts grants, also after JSON or cloning", () => {
    fc.assert(
      fc.property(good, (value) => {
        expect(isGrants(value)).toBe(true);
        expect(isGrants(structuredClone(value))).toBe(true);
        expect(isGrants(JSON.parse(JSON.stringify(value)))).toBe(true);
      }),
    );
  });

  test("accepts nothing else", () => {
    const notText = fc.anything().filter((value) => typeof value !== "string");
    const notNames = fc.oneof(
      notText.filter((value) => !Array.isArray(value)),
      notText.map((value) => ["a", value]),
    );
    const wrong = fc.oneof(
      fc.record({ key: fc.constantFrom("subscribe", "announce"), value: notNames }),
      fc.record({
        key: fc.constant("until"),
        value: fc.anything().filter((value) => !Number.isFinite(value)),
      }),
      fc.record({ key: fc.constant("key"), value: notText }),
    );
    fc.assert(
      fc.property(good, wrong, (value, { key, value: other }) => {
        expect(isGrants({ ...value, [key]: other })).toBe(false);
        const { [key]: _, ...less } = { ...value };
        expect(isGrants(less)).toBe(false);
      }),
    );
    const optional = fc.oneof(
      fc.record({ key: fc.constant("sub"), value: notText }),
      fc.record({ key: fc.constant("enter"), value: notNames }),
      fc.record({
        key: fc.constant("operate"),
        value: fc.anything().filter((it) => typeof it !== "boolean"),
      }),
    );
    fc.assert(
      fc.property(good, optional, (value, { key, value: other }) => {
        expect(isGrants({ ...value, [key]: other })).toBe(other === undefined);
      }),
    );
    fc.assert(
      fc.property(fc.anything(), (value) => {
        fc.pre(typeof value !== "object" || value === null || !("until" in value));
        expect(isGrants(value)).toBe(false);
      }),
    );
  });
});
