// A released version, written by test/upgrades/save-release.ts. Do not edit.

// src/auth/verify.ts
var TokenError = class extends Error {
  code;
  /** The token's subject, if its signature is valid. */
  sub;
  constructor(code, why, sub = void 0) {
    super(why);
    this.code = code;
    this.sub = sub;
  }
};
var NoKeys = class extends Error {
  /** Seconds after which to retry. */
  seconds;
  constructor(why, seconds = 30, options = {}) {
    super(why, options);
    this.seconds = Math.max(1, seconds);
  }
};

// src/protocol/text.ts
function utf8Length(text2) {
  let bytes = text2.length;
  for (let i = 0; i < text2.length; i++) {
    const unit = text2.charCodeAt(i);
    if (unit < 128) continue;
    if (unit < 2048) bytes += 1;
    else if (isHighSurrogate(unit) && isLowSurrogate(text2.charCodeAt(i + 1))) {
      bytes += 2;
      i += 1;
    } else bytes += 2;
  }
  return bytes;
}
var isHighSurrogate = (unit) => unit >= 55296 && unit <= 56319;
var isLowSurrogate = (unit) => unit >= 56320 && unit <= 57343;
function isLongerThan(text2, limit) {
  if (text2.length > limit) return true;
  return text2.length * 3 > limit && utf8Length(text2) > limit;
}

// src/protocol/channels.ts
var EVERYONE = "all";
var DEBUG = "debug";
var MAX_NAME_BYTES = 255;
var FORBIDDEN_IN_NAME = /[\u0000-\u0020!\u007f-\u009f]/;
function nameFault(name) {
  if (name === "") return "a channel name is missing";
  if (isLongerThan(name, MAX_NAME_BYTES)) return `a channel name has at most ${MAX_NAME_BYTES} bytes`;
  if (FORBIDDEN_IN_NAME.test(name)) return "a channel name has no '!', space or control character; use '-' instead";
  return void 0;
}
function channelFault(name) {
  if (name === DEBUG) return `'${DEBUG}' is reserved for the server; use another channel`;
  return nameFault(name);
}
function matchesAny(patterns, channel) {
  return patterns.some(
    (pattern) => pattern.endsWith("*") ? channel.startsWith(pattern.slice(0, -1)) : channel === pattern
  );
}

// src/protocol/refusals.ts
var NO_MESSAGE = "a message is missing after the channel";
var NOT_OPERATOR = "your token lacks the claim 'operate'";
var SERVICE_FULL = "the service has reached its connection limit; connect again later";
var NO_HISTORY = "this channel retains no messages";
var KEY_CONFLICT = "this key was used for another message on this channel";
var REVOKED = "your token was revoked; get a new one";
var SERVER_ANNOUNCES = "only the server announces on presence channels; enter and leave over a WebSocket";
var NO_PRESENCE = "presence needs retained messages, and this server retains none (HISTORY_SECONDS is 0)";
function notGranted(claim, channel) {
  const it = channel === EVERYONE ? `'${EVERYONE}' by name, because '*' doesn't include it` : "it";
  return `your token doesn't grant this channel; its claim '${claim}' has to list ${it}`;
}
function keyedTooLong(most) {
  return `messages with a key have at most ${most} bytes in total, as the channel retains them to detect repeats`;
}
function lineTooLong(maxBytes) {
  return `a line has at most ${maxBytes} bytes; split the message, or raise MAX_LINE_BYTES`;
}
function tooManyLines(perSecond) {
  return `at most ${perSecond} lines per second are carried out; send this again later`;
}
function notSubject(sub) {
  return `your token's claim 'sub' is '${sub}', so you can enter only as that`;
}
function tooManyMembers(most) {
  return `a channel has at most ${most} members`;
}
function tooManyChannels(most) {
  return `a connection has at most ${most} channels`;
}

// src/protocol/members.ts
var MAX_MEMBER_BYTES = 64;
var MAX_DATA_BYTES = 1024;
var PREFIX = "presence/";
function presenceOf(channel) {
  return PREFIX + channel;
}
function subjectOf(channel) {
  return channel.startsWith(PREFIX) ? channel.slice(PREFIX.length) : void 0;
}
function presenceFault(channel) {
  if (subjectOf(channel) !== void 0) return `'${PREFIX}\u2026' is about another channel's members, and has none itself`;
  const most = MAX_NAME_BYTES - PREFIX.length;
  if (channel !== "" && isLongerThan(channel, most)) return `a channel with members has at most ${most} bytes`;
  return channelFault(channel);
}
var FORBIDDEN_IN_MEMBER = /[\u0000-\u0020\u007f-\u009f]/;
function memberFault(member) {
  if (member === "") return "the name of a member is missing";
  if (isLongerThan(member, MAX_MEMBER_BYTES)) return `the name of a member has at most ${MAX_MEMBER_BYTES} bytes`;
  if (FORBIDDEN_IN_MEMBER.test(member)) return "the name of a member has no space or control character";
  return void 0;
}
function dataFault(data) {
  if (isLongerThan(data, MAX_DATA_BYTES)) return `the data of a member has at most ${MAX_DATA_BYTES} bytes`;
  return data.includes("\n") ? "the data of a member is one line; encode it, for example as JSON" : void 0;
}
function formatMember({ member, data }) {
  return data === "" ? member : `${member} ${data}`;
}
function formatChange(change) {
  return `${change.kind} ${change.kind === "leave" ? change.member : formatMember(change)}`;
}

// src/protocol/errors.ts
var ERROR_CODES = [
  "invalid",
  "forbidden",
  "expired",
  "revoked",
  "limit",
  "rate",
  "unavailable",
  "uncertain",
  "no-history",
  "conflict"
];
function isErrorCode(word) {
  return ERROR_CODES.some((code) => code === word);
}
function formatRefusal({ code, command, argument, why }) {
  return `${code} ${command}${argument === void 0 ? "" : ` ${argument}`}: ${why}`;
}
var MAX_REASON_BYTES = 123;
function formatReason({ code, why }) {
  let reason = `${code}: `;
  for (const character of why) {
    if (isLongerThan(reason + character, MAX_REASON_BYTES)) break;
    reason += character;
  }
  return reason;
}

// src/protocol/invalid.ts
function invalid(why) {
  return { kind: "invalid", why };
}

// src/protocol/positions.ts
var MOST = Number.MAX_SAFE_INTEGER;
function parsePosition(word) {
  const position = /^\d+$/.test(word) ? Number(word) : Number.NaN;
  return Number.isSafeInteger(position) ? position : void 0;
}
function parseFromWords(how, word) {
  if (how === "since") return parseSince(word);
  if (how === "last") return parseLast(word);
  return void 0;
}
function parseSince(word) {
  const since = word === "now" ? word : parsePosition(word);
  if (since !== void 0) return { since };
  return invalid(`'since' takes a position, a whole number from 0 to ${MOST}, or 'now'`);
}
function parseLast(word) {
  const last = parsePosition(word);
  if (last !== void 0 && last > 0) return { last };
  return invalid(`'last' takes a number of messages, a whole number from 1 to ${MOST}`);
}

// src/protocol/replies.ts
var GREETING = `${DEBUG}!connected...
`;
var BUSY = `${DEBUG}!busy
`;
var ALIVE = `${DEBUG}!alive
`;
function formatMessage(channel, message) {
  return `${channel}!${message}
`;
}
function formatError(refusal) {
  return `${DEBUG}!error ${formatRefusal(refusal)}
`;
}
function formatAccepted(until) {
  return `${DEBUG}!token accepted until ${Math.floor(until / 1e3)}
`;
}
function formatPosition(channel, position) {
  return `${DEBUG}!position ${channel} ${position}
`;
}
function formatGap(channel, from, to) {
  return `${DEBUG}!gap ${channel} ${from} ${to}
`;
}
function formatOnce(key, position) {
  return `${DEBUG}!once ${key} ${position}
`;
}
function formatMembers(channel, position, count2) {
  return `${DEBUG}!members ${channel} ${position} ${count2}
`;
}
function formatMemberOf(channel, member) {
  return `${DEBUG}!member ${channel} ${formatMember(member)}
`;
}
function formatTime(now) {
  return `${Math.floor(now / 1e3)}
`;
}
function formatFigure(key, value) {
  return `${key}: ${value}
`;
}

// src/runtime/runtime.ts
var CallFailed = class extends Error {
  why;
  constructor(why, cause) {
    super(`a call failed: ${why}`, { cause });
    this.why = why;
  }
};
function wasNotMade(error) {
  return error instanceof CallFailed && error.why === "not made";
}

// src/tree/call-limits.ts
var LATE_AFTER = 1e3;
var MAX_CALLS = 200;
var MAX_CHARACTERS = 25e5;
var MAX_UNRESPONSIVE = 1e4;
var CallLimiter = class {
  #runtime;
  /** Oldest first. */
  #calls = /* @__PURE__ */ new Set();
  #queue = /* @__PURE__ */ new Set();
  #responsiveLane = { calls: 0, characters: 0 };
  #unresponsiveLane = { calls: 0, characters: 0 };
  #lateLane = { calls: 0, characters: 0 };
  /** Objects that didn't answer the last call. */
  #unresponsive = /* @__PURE__ */ new Set();
  #isWatching = false;
  constructor(runtime) {
    this.#runtime = runtime;
  }
  /**
   * Begins a call, as soon as its lane has room.
   * @param size characters of messages in the call
   */
  begin(object, size) {
    if (this.#queue.size === 0 && hasRoom(this.#laneFor(object), size)) return this.#start(object, size);
    return new Promise((begin) => {
      this.#queue.add({ object, size, begin });
      this.#startQueued();
      if (this.#queue.size > 0 && !this.#isWatching) void this.#watch();
    });
  }
  /**
   * Ends a call.
   * @param isAnswered whether the other object answered, even with an error
   */
  end(call, isAnswered) {
    if (this.#calls.delete(call)) count(call, -1);
    if (isAnswered) this.#unresponsive.delete(call.object);
    else this.#markUnresponsive(call.object);
    this.#startQueued();
  }
  /** Looks for late calls as long as calls are queued. */
  async #watch() {
    this.#isWatching = true;
    while (this.#queue.size > 0) {
      await this.#runtime.sleep(LATE_AFTER);
      this.#moveLate();
      this.#startQueued();
    }
    this.#isWatching = false;
  }
  /** Moves late calls to their lane, and abandons the oldest calls there if it is over its limits. */
  #moveLate() {
    const now = this.#runtime.now();
    for (const call of this.#calls) {
      if (now - call.since < LATE_AFTER) break;
      count(call, -1);
      call.lane = this.#lateLane;
      count(call, 1);
      this.#markUnresponsive(call.object);
    }
    for (const call of this.#calls) {
      if (this.#lateLane.calls <= MAX_CALLS && this.#lateLane.characters <= MAX_CHARACTERS) break;
      this.#calls.delete(call);
      count(call, -1);
      call.abandon();
    }
  }
  /** Starts the queued calls that there is room for, in order within each lane. */
  #startQueued() {
    const full = /* @__PURE__ */ new Set();
    for (const queued of this.#queue) {
      const lane = this.#laneFor(queued.object);
      if (!full.has(lane) && hasRoom(lane, queued.size)) {
        this.#queue.delete(queued);
        queued.begin(this.#start(queued.object, queued.size));
      } else full.add(lane);
      if (full.size === 2) return;
    }
  }
  #laneFor(object) {
    return this.#unresponsive.has(object) ? this.#unresponsiveLane : this.#responsiveLane;
  }
  #start(object, size) {
    const { promise: abandoned, resolve: abandon } = Promise.withResolvers();
    const call = { object, size, since: this.#runtime.now(), lane: this.#laneFor(object), abandoned, abandon };
    this.#calls.add(call);
    count(call, 1);
    return call;
  }
  #markUnresponsive(object) {
    const { size } = this.#unresponsive;
    if (size >= MAX_UNRESPONSIVE && !this.#unresponsive.has(object)) this.#unresponsive.clear();
    this.#unresponsive.add(object);
  }
};
function hasRoom({ calls, characters }, size) {
  return calls === 0 || calls < MAX_CALLS && characters + size <= MAX_CHARACTERS;
}
function count({ lane, size }, calls) {
  lane.calls += calls;
  lane.characters += calls * size;
}

// src/tree/peers.ts
var MAX_OPENING_DEPTH = 6;
var UNKNOWN = 16;
var CALLS_PER_EVENT = 900;
var MAX_STUBS = 500;
var MAX_REMAKES = 3;
var LINGER = 1e3;
var TRUST_PERIOD = 1e3;
var MEMBER_SIZE = 20;
var MAX_CAUSE = 300;
var Peers = class {
  #runtime;
  #alarm;
  #note;
  /** By object, the most recently used one last. */
  #stubs = /* @__PURE__ */ new Map();
  /** The depth of the newest event. */
  #newest = UNKNOWN;
  /** The deepest event so far. */
  deepest = 0;
  /** Whether the newest event is being handled synchronously: then no other one counts. */
  #isHandling = false;
  /** The deepest event that came or was answered since a time, and in about as long before that. */
  #recent = { since: 0, deepest: 0, before: 0 };
  /** For each depth, the number of unanswered events. */
  #unanswered = new Array(UNKNOWN + 1).fill(0);
  /** Calls made since the newest event. */
  #made = 0;
  #inFlight;
  /** Calls that wait for an event that may make them. */
  #deferred = [];
  constructor(runtime, alarm, note) {
    this.#runtime = runtime;
    this.#alarm = alarm;
    this.#note = note;
    this.#inFlight = new CallLimiter(runtime);
  }
  /** Notes an event, and makes the calls that waited for one. */
  arrived(hop) {
    this.#newest = hop;
    if (hop < UNKNOWN) this.deepest = Math.max(this.deepest, hop);
    this.#noteRecent(hop);
    this.#made = 0;
    this.#isHandling = true;
    void Promise.resolve().then(() => {
      this.#isHandling = false;
    });
    for (const { make } of this.#deferred.splice(0)) void make();
  }
  /** Drops the stub of an object that may have crashed: the next call with it would fail. */
  forget(object) {
    this.#stubs.delete(object);
  }
  /** Whether calls wait for the alarm to go off. */
  get hasDeferred() {
    return this.#deferred.length > 0;
  }
  /** Answers a call from another object. */
  async answer(hop, act) {
    this.arrived(hop);
    this.#count(hop, 1);
    try {
      return await act();
    } finally {
      this.#count(hop, -1);
      this.#noteRecent(hop);
    }
  }
  /**
   * Calls another object. Calls over the limits of `call-limits.ts` wait, unless the caller has a budget of its own.
   * @throws CallFailed if the cause is known; else anything
   */
  async call(object, kind, ask, hasOwnBudget = false) {
    if (hasOwnBudget) return this.#untilMade({ object, kind, ask });
    const begun = this.#inFlight.begin(object, sizeOf(ask));
    const call = begun instanceof Promise ? await begun : begun;
    let isAnswered = false;
    try {
      const answer = await this.#untilMade({ object, kind, ask, givenUp: call.abandoned });
      isAnswered = true;
      return answer;
    } catch (error) {
      isAnswered = error instanceof CallFailed;
      throw error;
    } finally {
      this.#inFlight.end(call, isAnswered);
    }
  }
  /** A call that the platform rejected was not executed, so it is made again, from a new event. */
  async #untilMade(call) {
    for (let remakes = 0; ; remakes++) {
      try {
        return await this.#make(call);
      } catch (error) {
        if (!wasNotMade(error) || remakes === MAX_REMAKES) throw error;
        await this.#runtime.sleep(20 ** remakes);
        this.#newest = UNKNOWN;
      }
    }
  }
  #make(call) {
    const known = this.#made < CALLS_PER_EVENT ? this.#stubTo(call) : void 0;
    if (known) return this.#use(known, call);
    return new Promise((resolve, reject) => {
      this.#deferred.push({ make: () => this.#make(call).then(resolve, reject), fail: reject });
      void this.#alarm.goOffNow().then((willGoOff) => {
        if (!willGoOff) this.#failDeferred();
      });
    });
  }
  /** Storage refuses the alarm, so no event will come that could make the deferred calls. */
  #failDeferred() {
    for (const { fail } of this.#deferred.splice(0)) fail(new CallFailed("not made", "every event is too deep"));
  }
  async #use(known, { object, kind, ask, givenUp }) {
    this.#made += 1;
    this.#note(`calls.${kind}`);
    known.inFlight += 1;
    try {
      const answer = await known.stub.call(kind, ask, known.depth + 1, givenUp);
      known.answered = this.#runtime.now();
      known.replaces = void 0;
      return answer;
    } catch (error) {
      this.#note(`failures.${kind}`, 1, { to: object, cause: causeOf(error) });
      if (this.#stubs.get(object) === known) this.#failed(object, known, error);
      throw error;
    } finally {
      known.inFlight -= 1;
    }
  }
  /** Drops a stub after a failed call, unless the other object's own code threw. */
  #failed(object, { replaces, inFlight }, error) {
    if (error instanceof CallFailed && error.why === "thrown") return;
    if (wasNotMade(error) && inFlight > 1) return;
    if (replaces && wasNotMade(error)) this.#stubs.set(object, replaces);
    else this.#stubs.delete(object);
  }
  /** Returns the known stub, or a new one if that is better; undefined if only a new one would do and none may be opened. */
  #stubTo({ object, kind }) {
    const depth = this.#depth;
    const known = this.#stubs.get(object);
    if (!known && depth > MAX_OPENING_DEPTH) return void 0;
    const isGood = known !== void 0 && known.depth <= depth && this.#isTrusted(known, kind, depth);
    const { open, now } = this.#runtime;
    const replaces = known?.replaces ?? known;
    const stub = isGood ? known : { stub: open(object), depth, answered: now(), replaces, inFlight: 0 };
    this.#stubs.delete(object);
    this.#stubs.set(object, stub);
    const [oldest] = this.#stubs.keys();
    if (this.#stubs.size > MAX_STUBS && oldest !== void 0) this.#stubs.delete(oldest);
    return stub;
  }
  /** Whether a stub may carry a call. Announcements aren't repeated, so their stub must have worked just now. */
  #isTrusted({ answered }, kind, depth) {
    return kind !== "forward" || depth > MAX_OPENING_DEPTH || this.#runtime.now() <= answered + TRUST_PERIOD;
  }
  /**
   * The greatest depth that a stub can have that is first used now. The runtime goes by the newest event; when that is
   * over, by an earlier one that isn't. It doesn't tell when an event is over.
   */
  get #depth() {
    if (this.#isHandling) return this.#newest;
    this.#ageRecent();
    const unanswered = this.#unanswered.findLastIndex((events) => events > 0);
    return Math.max(this.#newest, this.#recent.deepest, this.#recent.before, unanswered);
  }
  #noteRecent(hop) {
    this.#ageRecent();
    this.#recent.deepest = Math.max(this.#recent.deepest, hop);
  }
  /** Forgets events that were answered too long ago to count. */
  #ageRecent() {
    const now = this.#runtime.now();
    const { since, deepest } = this.#recent;
    if (now < since + LINGER) return;
    this.#recent = { since: now, deepest: 0, before: now < since + 2 * LINGER ? deepest : 0 };
  }
  #count(hop, events) {
    const depth = Math.min(hop, UNKNOWN);
    this.#unanswered[depth] = (this.#unanswered[depth] ?? 0) + events;
  }
};
function causeOf(error) {
  const cause = error instanceof CallFailed ? error.cause ?? error : error;
  return String(cause).slice(0, MAX_CAUSE);
}
function sizeOf(ask) {
  if (ask && "lines" in ask) return ask.lines.length;
  if (!(ask && "present" in ask)) return 0;
  const present = ask.present.reduce((size, { member, data }) => size + MEMBER_SIZE + member.length + data.length, 0);
  return ask.gone.reduce((size, { member }) => size + MEMBER_SIZE + member.length, present);
}

// src/tree/retry.ts
var ATTEMPTS = 5;
async function retry({ sleep }, attempt, shouldContinue = () => true) {
  for (let failures = 0; shouldContinue(); ) {
    try {
      return await attempt();
    } catch (error) {
      failures = countFailure(failures, error);
      if (failures >= ATTEMPTS) throw error;
      await sleep(backoff(failures));
    }
  }
  return void 0;
}
var MIN_DELAY = 1e4;
var MAX_DELAY = 6e5;
var EARLY = 5e3;
function retryAt({ since, next }, now) {
  return next !== void 0 && next > now ? next : later(since, now);
}
function later(since, now) {
  return now + Math.min(MAX_DELAY, Math.max(MIN_DELAY, now - since));
}
function postpone(retry2, now) {
  retry2.next = later(retry2.since, now);
}
function isDue({ next }, now) {
  return next === void 0 || next <= now + EARLY;
}
function earliestRetry(retries, now) {
  let earliest = Number.POSITIVE_INFINITY;
  for (const retry2 of retries) earliest = Math.min(earliest, retryAt(retry2, now));
  return earliest;
}
function backoff(failures) {
  return 50 * 4 ** (failures - 1);
}
function countFailure(failures, error) {
  if (!(error instanceof CallFailed)) return failures + 1;
  return error.why === "thrown" ? ATTEMPTS : Math.max(failures + 1, ATTEMPTS - 1);
}

// src/assert.ts
function assert(holds, what) {
  if (!holds) throw new Error(`assertion failed: ${what}`);
}

// src/runtime/rows.ts
function rowOf(value, is) {
  assert(value === void 0 || is(value), "stored rows have the type that was written");
  return value;
}
function isNumber(value) {
  return typeof value === "number";
}
function isString(value) {
  return typeof value === "string";
}
function isBoolean(value) {
  return typeof value === "boolean";
}
function isRecord(value) {
  return typeof value === "object" && value !== null;
}
function optional(is) {
  return (value) => value === void 0 || is(value);
}
function listOf(is) {
  return (value) => Array.isArray(value) && value.every(is);
}
function shape(checks) {
  return (value) => isRecord(value) && Object.entries(checks).every(([key, is]) => is(value[key]));
}

// src/presence/member-table.ts
var MAX_BYTES = 2e6;
var OVERHEAD = 40;
var MAX_DEPARTED = 1e3;
var MAX_AGE = 5e3;
var SLACK = 1e3;
var MemberTable = class {
  #limits;
  #members = /* @__PURE__ */ new Map();
  /** By object, the members that have connections there. */
  #present = /* @__PURE__ */ new Map();
  /** By object, the number of its newest report. */
  #numbers = /* @__PURE__ */ new Map();
  /** The numbers of the newest reports of objects without members, while they are remembered: reports may be repeated. */
  #departed = /* @__PURE__ */ new Map();
  /** What the number of any report must exceed: reports were made before that time, and have been repeated since. */
  #since;
  /** The latest time at which a restored member leaves: clocks and settings may have changed since it was stored. */
  #latest;
  /** What the number of a report must exceed if its object isn't in `#numbers`. */
  #floor;
  /** See `dueAt`; undefined while it isn't known. */
  #dueAt;
  #bytes = 0;
  /** What changed since the last commit, as it was before. */
  #before = /* @__PURE__ */ new Map();
  #numbersBefore = /* @__PURE__ */ new Map();
  /** Objects whose numbers aren't stored, because their reports changed nothing: the next row has them. */
  #unstored = /* @__PURE__ */ new Set();
  #changes = [];
  /** @param now when this table is restored, in milliseconds since 1970 */
  constructor(limits, now) {
    this.#limits = limits;
    this.#since = this.#floor = now - MAX_AGE;
    this.#latest = now + limits.presenceGraceSeconds * 1e3 + SLACK;
  }
  /** Restores a stored record. */
  restore(member, record) {
    const isLate = record?.until !== void 0 && record.until > this.#latest;
    this.#set(member, isLate ? { ...record, until: this.#latest } : record);
  }
  /** Restores the number of an object's newest stored report. */
  restoreNumber(object, number) {
    this.#setNumber(object, number);
  }
  /** The number of members, including those that have no connections but may still return. */
  get size() {
    return this.#members.size;
  }
  /** All members, in the order of their names. */
  list() {
    const members = [...this.#members].map(([member, { data }]) => ({ member, data }));
    return members.sort((a, b) => a.member < b.member ? -1 : 1);
  }
  /** All records. */
  get records() {
    return this.#members;
  }
  /** The numbers of the newest reports, by object. */
  get numbers() {
    return this.#numbers;
  }
  /** The objects that have reported members. */
  get objects() {
    return [...this.#present.keys()];
  }
  /** The number of an object's newest report; 0 for none, or if it is forgotten. */
  numberOf(object) {
    return this.#numbers.get(object) ?? this.#departed.get(object) ?? 0;
  }
  /** The number that an object's next report must exceed. */
  leastNumberOf(object) {
    return Math.max(this.#numbers.get(object) ?? this.#floor, this.#since);
  }
  /** When the next member leaves, in milliseconds since 1970; infinite if all have connections. */
  get dueAt() {
    if (this.#dueAt !== void 0) return this.#dueAt;
    let first = Number.POSITIVE_INFINITY;
    for (const { until } of this.#members.values()) if (until !== void 0) first = Math.min(first, until);
    this.#dueAt = first;
    return first;
  }
  // --- changes
  /**
   * Applies a report.
   * @returns the members that are refused
   */
  apply({ from, number, after, present, gone }, now) {
    const known = this.numberOf(from);
    const named = new Set([...present, ...gone].map(({ member }) => member));
    const unnamed = after === void 0 ? [...this.#present.get(from) ?? []].filter((each) => !named.has(each)) : [];
    for (const member of unnamed) this.#end({ member, left: false, change: number }, from, now);
    for (const each of gone) if (each.change > known) this.#end(each, from, now);
    const refused = present.filter((each) => !this.#isAccepted(each, from, each.change > known));
    this.#noteNumber(from, number);
    return refused.map(({ member }) => member);
  }
  /** Records the number of a report. It isn't stored without members. */
  #noteNumber(object, number) {
    const isNeeded = this.#present.has(object);
    if (!isNeeded) this.#noteDeparted(object, number);
    if (!this.#numbersBefore.has(object)) this.#numbersBefore.set(object, this.#numbers.get(object));
    this.#setNumber(object, isNeeded ? number : void 0);
  }
  #noteDeparted(object, number) {
    this.#floor = Math.max(this.#floor, number);
    this.#departed.delete(object);
    this.#departed.set(object, number);
    const [oldest] = this.#departed.keys();
    if (this.#departed.size > MAX_DEPARTED && oldest !== void 0) this.#departed.delete(oldest);
  }
  #isAccepted({ member, data }, from, isChange) {
    const known = this.#members.get(member);
    const objects = known?.objects.includes(from) ? known.objects : [...known?.objects ?? [], from];
    const record = { data: known && !isChange ? known.data : data, objects };
    if (known?.objects === objects && known.data === record.data) return true;
    if (known?.objects !== objects && this.#isTooMuch(member, known, record)) return false;
    this.#replace(member, record);
    if (!known) this.#changes.push({ kind: "enter", member, data });
    else if (known.data !== record.data) this.#changes.push({ kind: "update", member, data });
    return true;
  }
  #isTooMuch(member, known, record) {
    if (!known && this.size >= this.#limits.membersPerChannel) return true;
    return this.#bytes + bytesOf(member, record) - bytesOf(member, known) > MAX_BYTES;
  }
  /** Ends the connections of a member at an object. */
  #end({ member, left }, from, now) {
    const known = this.#members.get(member);
    if (!known || !(left || known.objects.includes(from))) return;
    const objects = known.objects.filter((object) => object !== from);
    const grace = left ? 0 : this.#limits.presenceGraceSeconds * 1e3;
    if (objects.length === 0 && grace === 0) this.#leave(member);
    else if (objects.length > 0) this.#replace(member, { data: known.data, objects });
    else this.#replace(member, { data: known.data, objects, until: now + grace + SLACK });
  }
  /** Removes the members whose grace period is over. */
  expire(now) {
    if (now < this.dueAt) return;
    for (const [member, { until }] of [...this.#members]) {
      if (until !== void 0 && until <= now) this.#leave(member);
    }
  }
  #leave(member) {
    this.#replace(member, void 0);
    this.#changes.push({ kind: "leave", member });
  }
  // --- commits
  /** Whether anything that is stored has changed since the last commit. */
  get hasChanged() {
    return this.#before.size > 0;
  }
  /** What the next commit changes. */
  get delta() {
    return {
      members: new Map([...this.#before.keys()].map((member) => [member, this.#members.get(member)])),
      numbers: new Map(
        [...this.#unstored, ...this.#numbersBefore.keys()].map((object) => [object, this.#numbers.get(object)])
      )
    };
  }
  /** Makes the changes final, and returns those to announce. Unless anything `hasChanged`, nothing has to be stored. */
  commit() {
    const changes = this.#changes;
    if (this.hasChanged) this.#unstored.clear();
    else for (const object of this.#numbersBefore.keys()) this.#unstored.add(object);
    this.#clear();
    return changes;
  }
  /** Undoes all changes since the last commit. */
  rollback() {
    for (const [member, record] of this.#before) this.#set(member, record);
    for (const [object, number] of this.#numbersBefore) this.#setNumber(object, number);
    this.#clear();
  }
  #clear() {
    this.#before.clear();
    this.#numbersBefore.clear();
    this.#changes = [];
  }
  #replace(member, record) {
    if (!this.#before.has(member)) this.#before.set(member, this.#members.get(member));
    this.#set(member, record);
  }
  #set(member, record) {
    const known = this.#members.get(member);
    this.#dueAt = void 0;
    this.#bytes += bytesOf(member, record) - bytesOf(member, known);
    for (const object of known?.objects ?? []) this.#unindex(member, object);
    for (const object of record?.objects ?? []) this.#index(member, object);
    if (record) this.#members.set(member, record);
    else this.#members.delete(member);
  }
  #setNumber(object, number) {
    if (number === void 0) this.#numbers.delete(object);
    else this.#numbers.set(object, number);
  }
  #index(member, object) {
    const members = this.#present.get(object);
    if (members) members.add(member);
    else this.#present.set(object, /* @__PURE__ */ new Set([member]));
  }
  #unindex(member, object) {
    const members = this.#present.get(object);
    members?.delete(member);
    if (members?.size === 0) this.#present.delete(object);
  }
};
function bytesOf(member, record) {
  if (!record) return 0;
  const objects = record.objects.reduce((bytes, object) => bytes + utf8Length(object) + OVERHEAD, 0);
  return OVERHEAD + utf8Length(member) + utf8Length(record.data) + objects;
}

// src/presence/member-rows.ts
var PREFIX2 = "members:";
var HEAD = `${PREFIX2}head`;
var MAX_HEAD = 64e3;
var MAX_PART = 5e5;
var isMemberRecord = shape({ data: isString, objects: listOf(isString), until: optional(isNumber) });
var isHeadRow = shape({
  /** The number of the base, and of its rows; 0 for no base. */
  base: isNumber,
  parts: isNumber,
  /** When objects were last asked to report again, in milliseconds since 1970. */
  asked: isNumber,
  members: listOf(isEntry),
  numbers: listOf(isNumberEntry)
});
var isPartRow = shape({ members: listOf(isEntry), numbers: listOf(isNumberEntry) });
function isEntry(value) {
  if (!Array.isArray(value) || !isString(value[0])) return false;
  return value[1] === void 0 || isRecord(value[1]) && isMemberRecord(value[1]);
}
function isNumberEntry(value) {
  return Array.isArray(value) && isString(value[0]) && optional(isNumber)(value[1]);
}
var MemberRows = class {
  #store;
  #table;
  #base = 0;
  #parts = 0;
  /** When objects were last asked to report again, in milliseconds since 1970. */
  asked = 0;
  /** What changed since the base. */
  #members = /* @__PURE__ */ new Map();
  #numbers = /* @__PURE__ */ new Map();
  #hasHead = false;
  constructor(store, table) {
    this.#store = store;
    this.#table = table;
  }
  /** Restores the table. */
  restore() {
    const head = rowOf(this.#store.get(HEAD), isHeadRow);
    if (!head) return;
    this.#hasHead = true;
    this.#base = head.base;
    this.#parts = head.parts;
    this.asked = head.asked;
    this.#members = new Map(head.members);
    this.#numbers = new Map(head.numbers);
    for (let part = 0; part < head.parts; part++) {
      this.#restore(rowOf(this.#store.get(keyOf(head.base, part)), isPartRow) ?? { members: [], numbers: [] });
    }
    this.#restore(head);
  }
  #restore({ members, numbers }) {
    for (const [member, record] of members) this.#table.restore(member, record);
    for (const [object, number] of numbers) this.#table.restoreNumber(object, number);
  }
  /** Stores the table's changes since its last commit; returns whether storage accepted them. */
  store() {
    if (this.#table.size === 0) return this.#deleteAll();
    const { members, numbers } = this.#table.delta;
    const allMembers = new Map([...this.#members, ...members]);
    const allNumbers = new Map([...this.#numbers, ...numbers]);
    const isStored = headSize(allMembers, allNumbers) > MAX_HEAD ? this.#putBase() : this.#putHead(this.#base, this.#parts, allMembers, allNumbers);
    return isStored;
  }
  #putHead(base, parts, members, numbers) {
    const row = { base, parts, asked: this.asked, members: [...members], numbers: [...numbers] };
    if (!this.#store.put(HEAD, row)) return false;
    this.#base = base;
    this.#parts = parts;
    this.#members = members;
    this.#numbers = numbers;
    this.#hasHead = true;
    return true;
  }
  /** Writes the whole table as a new base, then an empty head that names it. */
  #putBase() {
    const base = this.#base + 1;
    const parts = partsOf([...this.#table.records]);
    const numbers = [...this.#table.numbers];
    for (const [i, members] of parts.entries()) {
      if (!this.#store.put(keyOf(base, i), { members, numbers: i === 0 ? numbers : [] })) return false;
    }
    return this.#putHead(base, parts.length, /* @__PURE__ */ new Map(), /* @__PURE__ */ new Map());
  }
  /** Deletes all rows, because the channel has no members. */
  #deleteAll() {
    if (!this.#hasHead) return true;
    if (!this.#store.delete(HEAD)) return false;
    this.#hasHead = false;
    this.#base = this.#parts = 0;
    this.#members = /* @__PURE__ */ new Map();
    this.#numbers = /* @__PURE__ */ new Map();
    for (const [key] of [...this.#store.list(PREFIX2)]) this.#store.delete(key);
    return true;
  }
};
function keyOf(base, part) {
  return `${PREFIX2}${base % 2}:${part}`;
}
function headSize(members, numbers) {
  let bytes = 0;
  for (const [member, record] of members) bytes += record ? bytesOf(member, record) : member.length;
  for (const object of numbers.keys()) bytes += object.length;
  return bytes;
}
function partsOf(members) {
  const parts = [[]];
  let bytes = 0;
  for (const entry of members) {
    bytes += bytesOf(...entry);
    if (bytes > MAX_PART) {
      parts.push([]);
      bytes = bytesOf(...entry);
    }
    parts.at(-1)?.push(entry);
  }
  return parts;
}

// src/presence/authority.ts
var MAX_PENDING = 16e6;
var INTERVAL_PER_OBJECT = 1e3;
var INTERVAL_OF_STARTS = 3e4;
var INTERVAL_OF_CLIENTS = 6e4;
var PATIENCE = 500;
var RETRY_AFTER = 1e4;
var Authority = class {
  #parts;
  #channel;
  #table;
  #rows;
  #pending = [];
  #pendingSize = 0;
  /** Objects that haven't reported since they had to be asked, and when they are; infinite if none is left. */
  #unheard = /* @__PURE__ */ new Set();
  #askAt = Number.POSITIVE_INFINITY;
  #isAsking = false;
  #failed;
  /** When to remove members again after storage has refused to, in milliseconds since 1970. */
  #retryAt = 0;
  constructor(parts) {
    this.#parts = parts;
    this.#channel = subjectOf(parts.runtime.name) ?? "";
    this.#table = new MemberTable(parts.limits, parts.runtime.now());
    this.#rows = new MemberRows(parts.runtime.store, this.#table);
  }
  /** Restores the members. */
  start() {
    this.#rows.restore();
    if (this.#table.size === 0) return;
    const { schedule, runtime } = this.#parts;
    this.#askSoon(PATIENCE, INTERVAL_OF_STARTS);
    schedule.stay();
    if (this.dueAt > runtime.now()) schedule.due(this.dueAt);
    else schedule.flush();
  }
  /** The number of members. */
  get size() {
    return this.#table.size;
  }
  // --- reports
  /** Applies a report with the next flush; resolves when the changes are stored and have their positions. */
  async report(report) {
    if (this.#parts.limits.historySeconds === 0) return { none: true };
    const size = sizeOf(report);
    if (this.#pendingSize + size > MAX_PENDING) throw new Error("too many reports of members are pending");
    this.#pendingSize += size;
    this.#parts.schedule.flush();
    return new Promise((resolve, reject) => this.#pending.push({ report, size, resolve, reject }));
  }
  /** Applies pending reports, removes members whose grace period is over, and announces all changes. */
  flush() {
    const reports = this.#pending.splice(0);
    this.#pendingSize = 0;
    try {
      this.#carryOut(reports);
    } catch (error) {
      this.#table.rollback();
      for (const { reject } of reports) reject(error);
      throw error;
    }
  }
  #carryOut(reports) {
    const now = this.#parts.runtime.now();
    const answers = reports.map(({ report }) => this.#apply(report, now));
    if (now >= this.#retryAt) this.#table.expire(now);
    const before = this.#parts.router.channel.position ?? 0;
    const isStored = this.#commit();
    const position = this.#parts.router.channel.position ?? 0;
    const isNew = position !== before;
    for (const [i, { resolve }] of reports.entries()) {
      const answer = answers[i];
      if (!answer || !isStored) resolve({ full: true });
      else resolve("refused" in answer ? { ...answer, position, isNew } : answer);
    }
  }
  #apply(report, now) {
    const least = this.#table.leastNumberOf(report.from);
    const known = this.#table.numberOf(report.from);
    if (report.number <= least) return { newer: least, known };
    if (report.after !== void 0 && report.after !== known) return { behind: true };
    this.#unheard.delete(report.from);
    return { refused: this.#table.apply(report, now) };
  }
  /** Stores and announces the changes; returns whether storage accepted them. */
  #commit() {
    if (!this.#table.hasChanged) {
      this.#table.commit();
      return true;
    }
    if (!this.#rows.store()) {
      this.#table.rollback();
      this.#retryAt = this.#parts.runtime.now() + RETRY_AFTER;
      this.#parts.schedule.due(this.dueAt);
      return false;
    }
    this.#announce(this.#table.commit());
    this.#parts.schedule.due(this.dueAt);
    return true;
  }
  #announce(changes) {
    if (changes.length === 0) return;
    const { runtime, router, counters } = this.#parts;
    const lines = changes.map((change) => formatMessage(runtime.name, formatChange(change))).join("");
    router.append({ lines, count: changes.length });
    router.channel.store();
    for (const { kind } of changes) counters.note(`members.${kind}`);
  }
  // --- members
  /** Returns the members at the newest position. */
  members() {
    const { limits, router, schedule } = this.#parts;
    if (limits.historySeconds === 0) return { none: true };
    if (this.#askAt === Number.POSITIVE_INFINITY && this.#table.size > 0) {
      this.#askSoon(0, INTERVAL_OF_CLIENTS);
      schedule.stay();
    }
    const position = router.channel.locate() ?? 0;
    return { position, members: this.#table.list() };
  }
  // --- asking
  /** Has all objects asked to report again, after a time, unless they were asked lately. */
  #askSoon(after, interval) {
    const now = this.#parts.runtime.now();
    const objects = this.#table.objects;
    const next = Math.min(this.#rows.asked, now) + Math.max(interval, INTERVAL_PER_OBJECT * objects.length);
    if (interval === INTERVAL_OF_CLIENTS && now < next) return;
    this.#unheard = new Set(objects);
    this.#askAt = Math.max(now + after, next);
  }
  /** Asks objects to report again, if that is due. */
  #ask() {
    const { runtime } = this.#parts;
    if (this.#isAsking || runtime.now() < this.#askAt) return;
    if (this.#failed && !isDue(this.#failed, runtime.now())) return;
    this.#isAsking = true;
    runtime.keep(
      this.#askAll().finally(() => {
        this.#isAsking = false;
      })
    );
  }
  async #askAll() {
    const { runtime, schedule } = this.#parts;
    if (this.#unheard.size > 0) {
      this.#rows.asked = runtime.now();
      this.#rows.store();
    }
    const asked = [...this.#unheard].map(async (object) => {
      const request = { channel: this.#channel, number: this.#table.numberOf(object) };
      if (object === runtime.name) this.#parts.presence.restate(request);
      else await runtime.call(object, "restate", request);
      this.#unheard.delete(object);
    });
    const outcomes = await Promise.allSettled(asked);
    if (outcomes.every(({ status }) => status === "fulfilled")) {
      this.#askAt = Number.POSITIVE_INFINITY;
      this.#failed = void 0;
    } else {
      this.#failed ??= { since: runtime.now(), next: void 0 };
      postpone(this.#failed, runtime.now());
      schedule.due(this.dueAt);
    }
  }
  // --- upkeep
  /** When the alarm has something to do here, in milliseconds since 1970; infinite if nothing. */
  get dueAt() {
    const now = this.#parts.runtime.now();
    return Math.min(Math.max(this.#table.dueAt, this.#retryAt), this.#askingDueAt(now));
  }
  #askingDueAt(now) {
    if (this.#failed) return earliestRetry([this.#failed], now);
    return this.#asksSoon(now) ? Number.POSITIVE_INFINITY : this.#askAt;
  }
  /** Whether the object stays in memory to ask, which saves setting the alarm. */
  #asksSoon(now) {
    return this.#isAsking || this.#failed === void 0 && this.#askAt <= now + PATIENCE;
  }
  /** Handles the alarm. */
  alarmed() {
    if (this.#table.dueAt <= this.#parts.runtime.now()) this.flush();
    this.#ask();
  }
  /**
   * Handles the passing of a second.
   * @returns whether the object must stay in memory for another one
   */
  proceed() {
    const now = this.#parts.runtime.now();
    if (this.#table.dueAt <= now) this.#parts.schedule.flush();
    this.#ask();
    return this.#asksSoon(now);
  }
};

// src/runtime/schedule.ts
var CRASH_CHECK = 1e4;

// src/protocol/keys.ts
var MAX_KEY_BYTES = 64;
var KEY_OVERHEAD = 16;
function sizeOfKeyed(key, lines) {
  return utf8Length(lines) + utf8Length(key) + KEY_OVERHEAD;
}
function canDeduplicate(key, lines, most) {
  return sizeOfKeyed(key, lines) <= most;
}
var FORBIDDEN_IN_KEY = /[\u0000-\u0020\u007f-\u009f]/;
function keyFault(key) {
  if (key === "") return "a key is missing";
  if (isLongerThan(key, MAX_KEY_BYTES)) return `a key has at most ${MAX_KEY_BYTES} bytes`;
  if (FORBIDDEN_IN_KEY.test(key)) return "a key has no space or control character";
  return void 0;
}

// src/protocol/commands.ts
function parseCommand(line) {
  const parsed = parse(line);
  return parsed.kind === "invalid" ? refuseLine(line, "invalid", parsed.why) : parsed;
}
function refuseLine(line, code, why) {
  return { kind: "refused", refusal: { ...headOf(line), code, why } };
}
var VERBATIM = /^(announce|once) ([^ \p{Cc}\p{Cs}]{1,255})(?: |$)/u;
var SPACED = /^(subscribe|unsubscribe|enter|leave|members) +([^ \p{Cc}\p{Cs}]{1,255})(?: |\r?$)/u;
var NAME = /^([a-z]{1,16})(?: |\r?$)/;
function headOf(line) {
  const [, command = "line", argument] = VERBATIM.exec(line) ?? SPACED.exec(line) ?? NAME.exec(line) ?? [];
  return argument === void 0 ? { command } : { command, argument };
}
function parse(line) {
  if (line.startsWith("announce ")) return parseAnnounce(line, "announce ".length);
  if (line.startsWith("once ")) return parseOnce(line);
  const bare = line.endsWith("\r") ? line.slice(0, -1) : line;
  if (bare === "") return { kind: "empty" };
  if (bare === "ping" || bare === "info" || bare === "keepalive") return { kind: bare };
  const [verb = "", word = "", ...more] = bare.split(/ +/, 4);
  const parsed = parseWithChannel(verb, word, more, bare);
  if (parsed) return parsed;
  if (verb === "token") return word === "" ? invalid("a token is missing") : { kind: "token", token: word };
  if (verb === "announce") return invalid("announce takes a channel and a message");
  if (verb === "once") return invalid("once takes a key, a channel and a message");
  if (verb === "ping" || verb === "info" || verb === "keepalive") return invalid(`${verb} takes no argument`);
  return invalid(
    "unknown command; the commands are ping, info, subscribe <channel>, unsubscribe <channel>, announce <channel> <message>, once <key> <channel> <message>, enter <channel> <member> [<data>], leave <channel>, members <channel>, token <jwt>, keepalive"
  );
}
function parseWithChannel(verb, channel, more, line) {
  if (verb === "subscribe") return parseSubscribe(channel, more);
  if (verb === "unsubscribe" || verb === "leave") return parseUnchecked(verb, channel);
  if (verb === "enter") return parseEnter(line);
  return verb === "members" ? parseMembers(channel) : void 0;
}
function parseSubscribe(channel, [how = "", word = ""]) {
  const fault = channelFault(channel);
  if (fault) return invalid(fault);
  const from = parseFromWords(how, word);
  if (!from) return { kind: "subscribe", channel };
  return "why" in from ? from : { kind: "subscribe", channel, from };
}
function parseUnchecked(kind, channel) {
  const fault = nameFault(channel);
  return fault ? invalid(fault) : { kind, channel };
}
function parseEnter(line) {
  const [, channel = "", member = "", data = ""] = /^enter *([^ ]*) *([^ ]*) ?(.*)$/s.exec(line) ?? [];
  const fault = presenceFault(channel) ?? memberFault(member) ?? dataFault(data);
  return fault ? invalid(fault) : { kind: "enter", channel, member, data };
}
function parseMembers(channel) {
  const fault = presenceFault(channel);
  return fault ? invalid(fault) : { kind: "members", channel };
}
function parseAnnounce(line, from) {
  const space = line.indexOf(" ", from);
  const channel = space < 0 ? line.slice(from) : line.slice(from, space);
  const fault = channelFault(channel);
  if (fault) return invalid(fault);
  const message = space < 0 ? "" : line.slice(space + 1);
  return message === "" ? invalid(NO_MESSAGE) : { kind: "announce", channel, message };
}
function parseOnce(line) {
  const [, key = ""] = line.split(" ", 2);
  const fault = keyFault(key);
  if (fault) return invalid(fault);
  const parsed = parseAnnounce(line, `once ${key} `.length);
  return parsed.kind === "announce" ? { ...parsed, kind: "once", key } : parsed;
}

// src/protocol/frames.ts
var MAX_FRAME = 65536;
var LINE_END = 10;
var decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
function sizeOf2(frame) {
  return 1 + (typeof frame === "string" ? utf8Length(frame) : frame.byteLength);
}
function lengthOf(frame) {
  return typeof frame === "string" ? frame.length : frame.byteLength;
}
function isTooBig(frame, limit) {
  return typeof frame === "string" ? isLongerThan(frame, limit) : frame.byteLength > limit;
}
function countLines(frame) {
  if (typeof frame === "string") return countFrom(frame.length, (from) => frame.indexOf("\n", from));
  const bytes = new Uint8Array(frame);
  return countFrom(bytes.length, (from) => bytes.indexOf(LINE_END, from));
}
function countFrom(length, endFrom) {
  let lines = 1;
  for (let end = endFrom(0); end >= 0 && end < length - 1; end = endFrom(end + 1)) lines += 1;
  return lines;
}
function textOf(frame) {
  if (typeof frame === "string") return frame;
  try {
    return decoder.decode(frame);
  } catch {
    return void 0;
  }
}
function framesOf(lines) {
  if (lines.length <= MAX_FRAME) return lines === "" ? [] : [lines];
  const frames = [];
  for (let from = 0; from < lines.length; ) {
    const to = endOfFrame(lines, from);
    frames.push(lines.slice(from, to));
    from = to;
  }
  return frames;
}
function endOfFrame(text2, from) {
  if (text2.length - from <= MAX_FRAME) return text2.length;
  const end = text2.lastIndexOf("\n", from + MAX_FRAME - 1);
  return (end > from ? end : text2.indexOf("\n", from)) + 1;
}
function countEnds(text2) {
  let ends = 0;
  for (let end = text2.indexOf("\n"); end >= 0; end = text2.indexOf("\n", end + 1)) ends += 1;
  return ends;
}
function linesWithin(lines, most) {
  if (lines.length <= most) return lines;
  return most <= 0 ? "" : lines.slice(0, lines.lastIndexOf("\n", most - 1) + 1);
}
function firstLines(lines, n) {
  return lines.slice(0, lines.length - dropLines(lines, n).length);
}
function dropLines(lines, n) {
  return lines.slice(skipLines(lines, n));
}
function insertLine(lines, line, start, count2) {
  const text2 = `
${lines}`;
  let at = lines.length;
  for (let left = count2; left > 0 && at > 0; left--) at = text2.lastIndexOf(`
${start}`, at - 1);
  const before = lines.slice(0, Math.max(0, at));
  return before + line + lines.slice(before.length);
}
function skipLines(lines, n, from = 0) {
  let at = from;
  for (let i = 0; i < n; i++) at = lines.indexOf("\n", at) + 1;
  return at;
}

// src/session/rate.ts
function newBucket() {
  return { level: 0, at: 0 };
}
function take(bucket, wanted, perSecond, now) {
  const level = levelOf(bucket, perSecond, now);
  const taken = Math.min(wanted, Math.floor(level));
  bucket.level = level - taken;
  bucket.at = now;
  return taken;
}
function levelOf({ level, at }, perSecond, now) {
  return Math.min(perSecond, level + Math.max(0, now - at) * perSecond / 1e3);
}

// src/session/inbox.ts
var CommandError = class extends Error {
  code;
  constructor(code, why) {
    super(why);
    this.code = code;
  }
};
var NOT_UTF8 = {
  code: "invalid",
  command: "frame",
  why: "a frame must be UTF-8; none of its lines were executed"
};
var MAX_HELD = 16e6;
var MAX_KEYED = 2e3;
var LARGE_FRAME = 1e6;
var FRAME_OVERHEAD = 100;
var LINE_WORK = 1;
var ASYNC_WORK = 1e3;
var CHARACTERS_PER_WORK = 100;
var Queue = class {
  pending;
  pendingBytes;
  /** The current frame; undefined if it is not UTF-8. */
  text = "";
  /** Where its next line begins; its end or beyond after the last line. */
  next = 1;
  /** How many more of its lines may be executed. */
  allowed = 0;
  /** Size of the current frame. */
  currentBytes = 0;
  /** Work since the last pause. */
  work = 0;
  /** Whether the object itself delays the next step, which is not the client's fault. */
  isPaused = false;
  constructor(pending) {
    this.pending = pending;
    this.pendingBytes = pending[0]?.size ?? 0;
  }
  push(frame) {
    this.pending.push(frame);
    this.pendingBytes += frame.size;
  }
  get heldBytes() {
    return this.pendingBytes + this.currentBytes;
  }
  /** The end of the next line. */
  get end() {
    const { text: text2 = "", next } = this;
    const end = text2.indexOf("\n", next);
    return end < 0 ? text2.length : end;
  }
  /** Whether no lines of the current frame are left. */
  get isOver() {
    return this.next >= (this.text?.length ?? 1);
  }
};
var Inbox = class {
  #handler;
  #limits;
  #now;
  /** Queues of the connections that are executing commands. */
  #queues = /* @__PURE__ */ new Map();
  /** Bytes of pending and current frames, of all connections. */
  #heldBytes = 0;
  constructor(handler, limits, now) {
    this.#handler = handler;
    this.#limits = limits;
    this.#now = now;
  }
  /**
   * Receives a frame.
   * @returns a promise that resolves when its commands have been executed; undefined if they are queued behind earlier
   * ones, or the connection had to be closed
   */
  receive(connection, frame) {
    const allowed = this.#allowedLines(connection, frame);
    if (allowed === void 0) return void 0;
    const queue = this.#queues.get(connection);
    const size = (queue ? sizeOf2(frame) : lengthOf(frame)) + FRAME_OVERHEAD;
    if (queue && !queue.isPaused && queue.pendingBytes + size > this.#limits.maxBufferedBytes) {
      this.#closeTooMany(connection);
      return void 0;
    }
    const pending = { frame, allowed, size };
    this.#heldBytes += size;
    const done = queue ? queue.push(pending) : this.begin(connection, void 0, [pending]);
    while (this.#heldBytes > MAX_HELD) this.#closeTooMany(this.#largest());
    return done;
  }
  /** The connection with the most held bytes. */
  #largest() {
    const [first, ...others] = this.#queues;
    assert(first !== void 0, "held bytes belong to a queue");
    return others.reduce((largest, other) => other[1].heldBytes > largest[1].heldBytes ? other : largest, first)[0];
  }
  #closeTooMany(connection) {
    this.#discard(this.#queues.get(connection));
    this.#handler.close(connection, "waiting", "too many commands are pending");
  }
  /** Discards the pending frames of a queue, and the rest of the current one. */
  #discard(queue) {
    if (!queue) return;
    this.#heldBytes -= queue.heldBytes;
    queue.pending = [];
    queue.text = "";
    queue.next = 1;
    queue.pendingBytes = queue.currentBytes = 0;
  }
  /** Returns how many lines of a frame may be executed; undefined if the connection had to be closed. */
  #allowedLines(connection, frame) {
    const { maxBufferedBytes, linesPerSecond } = this.#limits;
    if (isTooBig(frame, maxBufferedBytes)) {
      this.#handler.close(connection, "frame", `a frame has at most ${maxBufferedBytes} bytes`);
      return void 0;
    }
    const lines = countLines(frame);
    const now = this.#now();
    const allowed = take(connection.lineRate, lines, linesPerSecond, now);
    const tooMany = lines - allowed;
    if (take(connection.excessRate, tooMany, linesPerSecond, now) === tooMany) return allowed;
    this.#handler.close(connection, "rate", `far more than ${linesPerSecond} lines per second`);
    return void 0;
  }
  /** Waits for `ready`, then executes the pending frames of `connection` and those that arrive during that. */
  async begin(connection, ready, pending = []) {
    const queue = new Queue(pending);
    this.#queues.set(connection, queue);
    try {
      if (ready) await ready;
      for (let line = this.#take(queue); line && !connection.closed; line = this.#take(queue)) {
        const done = this.#execute(connection, line, queue);
        if (done) {
          await done;
          queue.work += ASYNC_WORK;
        }
        const needsRoom = queue.currentBytes > LARGE_FRAME || queue.isOver;
        const pause = this.#handler.pause(connection, queue.work, needsRoom);
        queue.work = 0;
        queue.isPaused = pause !== void 0;
        if (pause) await pause;
        queue.isPaused = false;
      }
    } finally {
      this.#discard(queue);
      this.#queues.delete(connection);
    }
  }
  #execute(connection, line, queue) {
    if (line.kind === "refused") this.#handler.refuse(connection, line.refusal);
    if (line.kind === "refused" || line.kind === "empty") return void 0;
    const step = this.#stepFrom(line, queue);
    const refuse = (error) => this.#refuse(connection, step, error);
    try {
      return this.#handler.execute(connection, step)?.catch(refuse);
    } catch (error) {
      refuse(error);
      return void 0;
    }
  }
  /** Refuses each command of a step. @throws what isn't a CommandError */
  #refuse(connection, step, error) {
    if (!(error instanceof CommandError)) throw error;
    const { code, message: why } = error;
    for (const argument of argumentsOf(step)) {
      this.#handler.refuse(connection, { code, command: step.kind, argument, why });
    }
  }
  #stepFrom(line, queue) {
    if (line.kind === "announce") return this.#combine(line.channel, line.message, queue);
    return line.kind === "once" ? this.#combineKeyed(line, queue) : line;
  }
  /** Combines consecutive announcements on one channel, up to the size of a step. */
  #combine(channel, message, queue) {
    let lines = formatMessage(channel, message);
    let count2 = 1;
    const most = this.#handler.portionSize(channel);
    while (lines.length < most) {
      const next = this.#peek(queue);
      if (next?.kind !== "announce" || next.channel !== channel) break;
      this.#advance(queue);
      lines += formatMessage(channel, next.message);
      count2 += 1;
    }
    return { kind: "announce", channel, lines, count: count2 };
  }
  /** The same for keyed announcements. */
  #combineKeyed(first, queue) {
    const { channel } = first;
    const messages = [first];
    const most = this.#handler.portionSize(channel);
    for (let length = 0; length < most && messages.length < MAX_KEYED; ) {
      const next = this.#peek(queue);
      if (next?.kind !== "once" || next.channel !== channel) break;
      this.#advance(queue);
      messages.push(next);
      length += next.message.length;
    }
    return { kind: "once", channel, messages };
  }
  /** Removes and returns the next line; undefined if none is pending. */
  #take(queue) {
    const line = this.#peek(queue);
    if (line) this.#advance(queue);
    return line;
  }
  #peek(queue) {
    while (queue.isOver) {
      const pending = queue.pending.shift();
      this.#heldBytes -= queue.currentBytes;
      queue.currentBytes = 0;
      if (!pending) return void 0;
      queue.currentBytes = pending.size;
      queue.pendingBytes -= pending.size;
      queue.text = textOf(pending.frame);
      queue.allowed = pending.allowed;
      queue.next = 0;
    }
    if (queue.text === void 0) return { kind: "refused", refusal: NOT_UTF8 };
    return this.#read(queue.text.slice(queue.next, queue.end), queue.allowed > 0);
  }
  /** Removes the next line. */
  #advance(queue) {
    const end = queue.end;
    queue.work += LINE_WORK + (end - queue.next) / CHARACTERS_PER_WORK;
    queue.next = end + 1;
    queue.allowed -= 1;
  }
  #read(line, allowed) {
    const { maxLineBytes, linesPerSecond } = this.#limits;
    if (line === "") return { kind: "empty" };
    if (!allowed) return refuseLine(line, "rate", tooManyLines(linesPerSecond));
    if (isLongerThan(line, maxLineBytes)) return refuseLine(line, "limit", lineTooLong(maxLineBytes));
    return parseCommand(line);
  }
};
function argumentsOf(step) {
  if (step.kind === "once") return step.messages.map(({ key }) => key);
  if (step.kind === "announce") return Array.from({ length: step.count }, () => step.channel);
  return ["channel" in step ? step.channel : void 0];
}

// src/presence/member-lists.ts
var MemberLists = class {
  #ask;
  #lists = /* @__PURE__ */ new Map();
  /** @param ask requests the members of a channel from its authority */
  constructor(ask) {
    this.#ask = ask;
  }
  /**
   * Returns the members of a channel, as of after this call.
   * @throws if the authority doesn't answer
   */
  of(channel) {
    const list = this.#lists.get(channel) ?? { current: void 0, next: void 0 };
    this.#lists.set(channel, list);
    list.next ??= this.#askNext(channel, list);
    return list.next;
  }
  async #askNext(channel, list) {
    await list.current?.catch(() => {
    });
    await void 0;
    list.current = list.next;
    list.next = void 0;
    try {
      return await this.#ask(channel);
    } finally {
      if (list.next === void 0) this.#lists.delete(channel);
    }
  }
};

// src/presence/present-members.ts
var OVERHEAD2 = 300;
var CHANNEL_OVERHEAD = 1e3;
var MAX_NEW = 1e3;
var MAX_NEW_SIZE = 2e5;
var OLD = 1;
var PresentMembers = class {
  name;
  #present = /* @__PURE__ */ new Map();
  #gone = /* @__PURE__ */ new Map();
  /** Members whose state the authority doesn't know. */
  #changed = /* @__PURE__ */ new Set();
  /** The number of the newest report that the authority has carried out; undefined if the next one must list all members. */
  #answered;
  #memory;
  waiting = [];
  isReporting = false;
  /** Whether storage has the row that names this channel. */
  hasRow = false;
  /** Set while the authority can't be told. */
  pendingRetry;
  /**
   * @param name of the channel
   * @param memory of the members of all channels
   */
  constructor(name, memory) {
    this.name = name;
    this.#memory = memory;
    memory.bytes += CHANNEL_OVERHEAD;
  }
  /** The number of members with connections here. */
  get size() {
    return this.#present.size;
  }
  /** The data of a member with connections here; undefined for others. */
  dataOf(member) {
    return this.#present.get(member)?.data;
  }
  /** Whether there are changes that the authority doesn't know. */
  get hasChanged() {
    return this.#changed.size > 0;
  }
  /** Whether the authority knows the state of a member. */
  knows(member) {
    return !this.#changed.has(member);
  }
  /** The state that lets the next report after hibernation list only changes; undefined if it must list all members. */
  get answeredReport() {
    if (this.#answered === void 0 || this.#changed.size > 0) return void 0;
    return { number: this.#answered, connections: this.#connections };
  }
  /** The number of connections of all members. */
  get #connections() {
    let connections = 0;
    for (const present of this.#present.values()) connections += present.connections.size;
    return connections;
  }
  /**
   * Restores the report after which this object hibernated.
   * @returns whether there are as many connections as then
   */
  restoreAnswered(report) {
    this.#answered = report.number;
    return report.connections === this.#connections;
  }
  /** Whether the authority knows everything. */
  get isKnown() {
    return this.#answered !== void 0 && this.#changed.size === 0;
  }
  /** Whether the report with a number was the last one, and nothing has changed since. */
  isKnownAt(number) {
    return this.isKnown && this.#answered === number;
  }
  // --- changes
  /** Restores the member of a connection that hibernated: the authority knew it. The latest data counts. */
  restore(connection, { member, data, at }) {
    const present = this.#present.get(member) ?? this.#begin(member, data);
    present.connections.add(connection);
    if (at >= present.at) this.#replaceData(present, data);
    present.at = Math.max(present.at, at);
    present.change = OLD;
    present.isKnown = present.mayBeKnown = true;
  }
  /**
   * Adds a connection of a member, or changes its data.
   * @returns the data that the member had here before; undefined if it had no connections here
   */
  add(connection, member, data) {
    const before = this.dataOf(member);
    const wasGone = this.#forgetGone(member);
    const present = this.#present.get(member) ?? this.#begin(member, data);
    present.connections.add(connection);
    present.mayBeKnown ||= wasGone;
    this.#setData(member, present, data);
    return before;
  }
  /** Undoes a change of a member's data, unless it has been changed again. */
  restoreData(member, data, before) {
    const present = this.#present.get(member);
    if (present?.data === data && before !== void 0) this.#setData(member, present, before);
  }
  #replaceData(present, data) {
    this.#memory.bytes += data.length - present.data.length;
    present.data = data;
  }
  #setData(member, present, data) {
    this.#replaceData(present, data);
    present.change = 0;
    this.#changed.add(member);
  }
  #begin(member, data) {
    const present = { data, at: 0, change: 0, isKnown: false, mayBeKnown: false, connections: /* @__PURE__ */ new Set() };
    this.#present.set(member, present);
    this.#memory.bytes += OVERHEAD2 + member.length + data.length;
    return present;
  }
  /**
   * Removes a connection of a member.
   * @param left whether the client has said so; otherwise its connection has ended
   */
  remove(connection, member, left) {
    const present = this.#present.get(member);
    if (!present?.connections.delete(connection) || present.connections.size > 0) return;
    this.#present.delete(member);
    this.#memory.bytes -= OVERHEAD2 + member.length + present.data.length;
    if (!present.mayBeKnown) {
      this.#changed.delete(member);
      return;
    }
    this.#gone.set(member, { left, change: 0 });
    this.#memory.bytes += OVERHEAD2 + member.length;
    this.#changed.add(member);
  }
  /** Returns whether a member was gone, and the authority not told. */
  #forgetGone(member) {
    if (!this.#gone.delete(member)) return false;
    this.#memory.bytes -= OVERHEAD2 + member.length;
    return true;
  }
  /** Releases the memory of a channel without members. */
  end() {
    this.#memory.bytes -= CHANNEL_OVERHEAD;
  }
  // --- reports
  /** Has the next report list all members: the authority may not know what this object believes that it knows. */
  doubt() {
    this.#answered = void 0;
  }
  /** Returns the next report. */
  report(from, number) {
    const isFull = this.#answered === void 0;
    const present = [];
    for (const [member, each] of this.#listed(isFull)) {
      each.change ||= number;
      each.mayBeKnown = true;
      present.push({ member, data: each.data, change: each.change });
    }
    const gone = [];
    for (const [member, each] of this.#gone) {
      each.change ||= number;
      gone.push({ member, ...each });
    }
    return { from, number, after: this.#answered, present, gone };
  }
  /** The members to list: all that the authority may know, or only the changed ones, and some that it can't know yet. */
  *#listed(isFull) {
    let count2 = 0;
    let size = 0;
    const members = isFull ? [...this.#present.keys()] : this.#changed;
    for (const member of members) {
      const present = this.#present.get(member);
      if (!present) continue;
      if (!present.mayBeKnown) {
        count2 += 1;
        size += member.length + present.data.length;
        if (count2 > MAX_NEW || size > MAX_NEW_SIZE) continue;
      }
      yield [member, present];
    }
  }
  /**
   * Notes that the authority has carried out a report.
   * @param refused the members that it has refused
   */
  answered({ number, present, gone }, refused) {
    this.#answered = number;
    for (const { member, change } of present) this.#notePresent(member, change, refused.includes(member));
    for (const { member, change } of gone) {
      if (this.#gone.get(member)?.change !== change) continue;
      this.#forgetGone(member);
      this.#changed.delete(member);
    }
  }
  #notePresent(member, change, isRefused) {
    const present = this.#present.get(member);
    if (!present) return;
    if (isRefused) present.mayBeKnown = false;
    present.isKnown = !isRefused;
    if (present.change !== change) return;
    this.#changed.delete(member);
    if (!isRefused) present.change = OLD;
  }
  /** Notes that no report of this object was carried out since it woke: its changes are new to the authority. */
  renumber() {
    for (const member of this.#changed) {
      const changed = this.#present.get(member) ?? this.#gone.get(member);
      if (changed) changed.change = 0;
    }
  }
  /** Whether a connection is present as a member. */
  has(connection, member) {
    return this.#present.get(member)?.connections.has(connection) === true;
  }
  /** The connections of a member that the authority has refused; none if it knows the member. */
  refusedConnectionsOf(member) {
    const present = this.#present.get(member);
    return present && !present.isKnown && !this.#changed.has(member) ? [...present.connections] : [];
  }
  /** Removes and returns the commands that entered as one of the refused members, the newest first. */
  takeRefused(refused) {
    return this.#take(({ undo, member }) => undo !== void 0 && refused.includes(member)).reverse();
  }
  /** Removes and returns the commands whose changes the authority knows. */
  takeDone() {
    return this.#take(({ member }) => this.knows(member));
  }
  /** Removes and returns all commands, the newest first. */
  takeAll() {
    return this.#take(() => true).reverse();
  }
  #take(isTaken) {
    const { taken = [], left = [] } = Object.groupBy(this.waiting, (command) => isTaken(command) ? "taken" : "left");
    this.waiting = left;
    return taken;
  }
};

// src/presence/presence.ts
var ROW = "present:";
var isRow = shape({
  /** Since when the authority couldn't be told of changes, in milliseconds since 1970. */
  since: optional(isNumber)
});
var MAX_KEPT = 20;
var isKeptReport = shape({ number: isNumber, connections: isNumber });
var areReports = listOf((value) => {
  return Array.isArray(value) && isString(value[0]) && isKeptReport(value[1]);
});
var MAX_CHANGES = 20;
var MAX_CHANGES_HERE = 5e3;
var MAX_MEMORY = 16e6;
var UNANNOUNCED = "you have left, but that can't be announced now; it will be later";
var STORAGE_FULL = "the server's storage takes no more rows; try again";
var Presence = class {
  #parts;
  #channels = /* @__PURE__ */ new Map();
  #memory = { bytes: 0 };
  #rate = newBucket();
  #lists = new MemberLists((name) => this.#ask(name));
  #newest = 0;
  /** Whether an attachment has reports. */
  #hasKept = false;
  constructor(parts) {
    this.#parts = parts;
  }
  flush() {
    this.#parts.authority?.flush();
  }
  /** Restores the members of connections that hibernated, and reports those whose connections are gone. */
  start() {
    const { runtime, connections } = this.#parts;
    const { kept } = connections;
    const isUntold = kept !== void 0 && "untold" in kept && kept.untold === true;
    for (const connection of connections) {
      for (const [channel, entered] of connection.entered) this.#channel(channel).restore(connection, entered);
    }
    const reports = this.#keptReports();
    this.#hasKept = reports.size > 0;
    for (const [key, value] of [...runtime.store.list(ROW)]) {
      const channel = this.#channel(key.slice(ROW.length));
      channel.hasRow = true;
      const since = rowOf(value, isRow)?.since;
      if (since !== void 0) channel.pendingRetry = { since, next: void 0 };
      const report = reports.get(channel.name);
      const isComplete = report ? channel.restoreAnswered(report) : reports.size === MAX_KEPT;
      if (since === void 0 && !isUntold && channel.size > 0 && isComplete) continue;
      channel.doubt();
      this.#report(channel);
    }
    if (isUntold) connections.keep({ untold: void 0 });
  }
  /** Returns which reports were answered before this object hibernated. */
  #keptReports() {
    const { kept } = this.#parts.connections;
    const reports = kept && "reports" in kept ? kept.reports : [];
    return new Map(areReports(reports) ? reports : []);
  }
  /** Has the answered reports survive hibernation, if they are few, so that this object doesn't have to list all members again. */
  settle() {
    const channels2 = [...this.#channels.values()].slice(0, MAX_KEPT);
    const reports = channels2.flatMap(({ name, answeredReport }) => answeredReport ? [[name, answeredReport]] : []);
    if (reports.length > 0 || this.#hasKept) this.#parts.connections.keep({ reports });
    this.#hasKept = reports.length > 0;
  }
  /** The channels that have members with connections here. */
  get channels() {
    return [...this.#channels.values()].filter(({ size }) => size > 0).map(({ name }) => name);
  }
  /** The number of members with connections here. */
  get size() {
    let size = 0;
    for (const channel of this.#channels.values()) size += channel.size;
    return size;
  }
  // --- commands
  /**
   * Makes a connection present in a channel.
   * @returns a promise that resolves when the change has been announced; undefined if nothing changes
   * @throws CommandError, at once or later, if it isn't carried out
   */
  enter(connection, name, member) {
    const entered = { ...member, at: this.#parts.runtime.now() };
    const before = connection.entered.get(name);
    if (before?.member === entered.member && before.data === entered.data) {
      const known2 = this.#channel(name);
      if (known2.dataOf(entered.member) === entered.data) return this.#whenKnown(known2, entered.member);
    }
    this.checkRate(connection);
    this.#checkRoom(connection, name, entered);
    const channel = this.#channelToEnter(name);
    const dataBefore = channel.add(connection, entered.member, entered.data);
    this.#parts.connections.setEntered(connection, name, entered);
    const undo = () => {
      channel.restoreData(entered.member, entered.data, dataBefore);
      this.#undo(connection, channel, entered, before);
    };
    const known = this.#whenKnown(channel, entered.member, undo);
    if (!before || before.member === entered.member) return known;
    return this.#rename(connection, channel, before.member, known);
  }
  /** Ends the presence under the old name once that under the new one is announced. */
  async #rename(connection, channel, old, known) {
    await known;
    this.#remove(connection, channel, old, !connection.closed);
    await this.#whenKnown(channel, old)?.catch(() => {
    });
  }
  /** Restores what a connection had entered before. */
  #undo(connection, channel, entered, before) {
    const isRename = before?.member !== entered.member;
    if (connection.closed || connection.entered.get(channel.name) !== entered) {
      if (before && isRename) this.#remove(connection, channel, before.member, !connection.closed);
      return;
    }
    if (isRename) channel.remove(connection, entered.member, true);
    const isPresent = before && channel.has(connection, before.member);
    this.#parts.connections.setEntered(connection, channel.name, isPresent ? before : void 0);
  }
  /**
   * Ends a connection's presence in a channel, if there is any. Resolves when that has been announced.
   * @throws CommandError, at once or later, if it can't be announced now
   */
  leave(connection, name) {
    const before = connection.entered.get(name);
    if (!before) return void 0;
    this.checkRate(connection);
    const channel = this.#channel(name);
    channel.remove(connection, before.member, true);
    this.#parts.connections.setEntered(connection, name, void 0);
    return this.#whenKnown(channel, before.member, void 0, new CommandError("uncertain", UNANNOUNCED));
  }
  /** Ends the presence of a connection that is about to be removed. Its members may come back for a while. */
  end(connection) {
    this.#withdraw(connection, () => true, false);
  }
  /** Ends the presence of a connection where its grants no longer allow it. */
  endWhere(connection, isDenied) {
    this.#withdraw(connection, isDenied, true);
  }
  #withdraw(connection, isOver, left) {
    for (const [name, { member }] of [...connection.entered]) {
      if (!isOver(name, member)) continue;
      this.#parts.connections.setEntered(connection, name, void 0);
      this.#remove(connection, this.#channel(name), member, left);
    }
  }
  #remove(connection, channel, member, left) {
    channel.remove(connection, member, left);
    if (!channel.knows(member)) this.#report(channel);
  }
  #checkRoom(connection, name, entered) {
    const { connections, limits } = this.#parts;
    if (limits.historySeconds === 0) throw new CommandError("no-history", NO_PRESENCE);
    if (!connections.canEnter(connection, name, entered)) {
      throw new CommandError("limit", "the names of this connection's channels and members are too long together");
    }
    if (this.#memory.bytes > MAX_MEMORY) {
      throw new CommandError("unavailable", "this object has no memory for more members; connect again");
    }
  }
  /** Returns a channel whose row is stored, so that a crash can't make this object forget it. */
  #channelToEnter(name) {
    const channel = this.#channel(name);
    channel.hasRow ||= this.#parts.runtime.store.put(ROW + name, {});
    if (channel.hasRow) return channel;
    this.#forget(channel);
    throw new CommandError("unavailable", STORAGE_FULL);
  }
  /**
   * Resolves when the authority knows the state of a member, and this object has received the announcement; undefined if
   * that is so.
   * @param undo restores the state before the member was entered, if the authority refuses it or doesn't answer
   * @param failure what the client is told if the authority doesn't answer, unless that is the cause
   */
  #whenKnown(channel, member, undo, failure) {
    if (channel.knows(member)) return void 0;
    const known = new Promise((resolve, reject) => {
      channel.waiting.push({ member, undo, failure, resolve, reject });
    });
    this.#report(channel);
    return known;
  }
  /**
   * Charges a connection for a command about members.
   * @throws CommandError if there are too many
   */
  checkRate(connection) {
    const now = this.#parts.runtime.now();
    if (take(connection.presenceRate, 1, MAX_CHANGES, now) === 0) {
      throw new CommandError(
        "rate",
        `a connection enters, leaves and lists members at most ${MAX_CHANGES} times per second; try again`
      );
    }
    if (take(this.#rate, 1, MAX_CHANGES_HERE, now) === 0) {
      throw new CommandError("rate", "too many members enter and leave at once; try again");
    }
  }
  // --- reports
  #channel(name) {
    const known = this.#channels.get(name) ?? new PresentMembers(name, this.#memory);
    this.#channels.set(name, known);
    return known;
  }
  /** Reports what the authority doesn't know, unless that is under way. */
  #report(channel) {
    const { runtime, schedule } = this.#parts;
    if (channel.hasChanged) schedule.due(runtime.now() + CRASH_CHECK);
    schedule.stay();
    if (channel.isReporting) return;
    channel.isReporting = true;
    runtime.keep(this.#reportAll(channel));
  }
  async #reportAll(channel) {
    const { schedule } = this.#parts;
    try {
      while (!channel.isKnown) {
        schedule.flush();
        await schedule.flushed;
        await this.#reportOnce(channel);
      }
      this.#finish(channel);
    } catch (error) {
      this.#fail(channel, error);
    } finally {
      channel.isReporting = false;
      schedule.stay();
    }
  }
  async #reportOnce(channel) {
    const answered = await retry(this.#parts.runtime, () => this.#attempt(channel));
    assert(answered !== void 0, "a report is repeated until it is answered");
    const { report, answer } = answered;
    if ("newer" in answer) {
      this.#newest = Math.max(this.#newest, answer.newer);
      if (answer.known > report.number) channel.renumber();
      if (answer.known === report.number) channel.doubt();
    } else if ("behind" in answer) channel.doubt();
    else if ("full" in answer) throw new CommandError("unavailable", STORAGE_FULL);
    else if ("none" in answer) throw new CommandError("no-history", NO_PRESENCE);
    else this.#answered(channel, report, answer);
  }
  async #attempt(channel) {
    this.#newest = Math.max(this.#newest + 1, this.#parts.runtime.now());
    const report = channel.report(this.#parts.runtime.name, this.#newest);
    try {
      return { report, answer: await this.#send(channel.name, report) };
    } catch (error) {
      channel.doubt();
      throw error;
    }
  }
  async #send(channel, report) {
    const authority = presenceOf(channel);
    if (authority !== this.#parts.runtime.name) return this.#parts.runtime.call(authority, "present", report);
    return this.#own.report(report);
  }
  #answered(channel, report, { refused, position, isNew }) {
    const most = this.#parts.limits.membersPerChannel;
    channel.answered(report, refused);
    for (const { undo, reject } of channel.takeRefused(refused)) {
      undo?.();
      reject(new CommandError("limit", tooManyMembers(most)));
    }
    for (const member of refused) this.#end(channel, member);
    for (const { resolve } of channel.takeDone()) resolve(this.#received(channel.name, position, isNew));
  }
  /** Ends the presence of connections whose member is refused later: others had taken its place in the meantime. */
  #end(channel, member) {
    const { connections, commands, limits } = this.#parts;
    const why = tooManyMembers(limits.membersPerChannel);
    for (const connection of channel.refusedConnectionsOf(member)) {
      channel.remove(connection, member, true);
      if (connection.entered.get(channel.name)?.member !== member) continue;
      connections.setEntered(connection, channel.name, void 0);
      commands.refuse(connection, { code: "limit", command: "enter", argument: channel.name, why });
    }
  }
  /** Resolves when this object has received the announcement; undefined if it has, or isn't linked to the presence channel. */
  #received(name, position, isNew) {
    const { upstream } = this.#parts.router;
    const channel = presenceOf(name);
    return isNew || !upstream.isUnlocated(channel) ? upstream.reached(channel, position) : void 0;
  }
  /** The authority knows everything: without members, nothing is left to do. */
  #finish(channel) {
    const { store } = this.#parts.runtime;
    const wasPending = channel.pendingRetry !== void 0;
    channel.pendingRetry = void 0;
    for (const { resolve } of channel.takeDone()) resolve(void 0);
    if (channel.size === 0) this.#forget(channel);
    else if (wasPending) store.put(ROW + channel.name, {});
  }
  #forget(channel) {
    if (channel.size > 0) return;
    if (channel.hasRow && !this.#parts.runtime.store.delete(ROW + channel.name)) return;
    if (this.#channels.delete(channel.name)) channel.end();
  }
  /** The authority doesn't answer, or refuses: undoes the commands that wait, and tells it later. */
  #fail(channel, error) {
    const why = "the members of this channel can't be reached now; try again";
    const cause = error instanceof CommandError ? error : new CommandError("unavailable", why);
    for (const { undo, reject, failure } of channel.takeAll()) {
      undo?.();
      reject(failure ?? cause);
    }
    channel.doubt();
    if (cause.code === "no-history") this.#forget(channel);
    else this.#postpone(channel);
  }
  /** Notes in storage that the authority has to be told, or in an attachment if storage refuses that. */
  #postpone(channel) {
    const { runtime, schedule, connections } = this.#parts;
    channel.pendingRetry ??= { since: runtime.now(), next: void 0 };
    postpone(channel.pendingRetry, runtime.now());
    const row = { since: channel.pendingRetry.since };
    if (channel.hasRow && !runtime.store.put(ROW + channel.name, row)) connections.keep({ untold: true });
    schedule.due(this.dueAt);
  }
  /** Reports all members of a channel again, unless the authority knows this object's newest report. */
  restate({ channel: name, number }) {
    const channel = this.#channel(name);
    if (channel.isKnownAt(number)) return;
    channel.doubt();
    this.#report(channel);
  }
  // --- lists
  /**
   * Returns the members of a channel, as of after this call.
   * @throws if the authority doesn't answer
   */
  members(name) {
    return this.#lists.of(name);
  }
  async #ask(name) {
    const authority = presenceOf(name);
    if (authority !== this.#parts.runtime.name) return this.#parts.runtime.call(authority, "members", void 0);
    return this.#own.members();
  }
  get #own() {
    const { authority } = this.#parts;
    assert(authority !== void 0, "the root of a presence channel is its authority");
    return authority;
  }
  // --- upkeep
  /** When to call `retry`, in milliseconds since 1970; infinite if nothing is left to report. */
  get dueAt() {
    const retries = [...this.#channels.values()].flatMap(({ pendingRetry }) => pendingRetry ?? []);
    return earliestRetry(retries, this.#parts.runtime.now());
  }
  /** Makes the reports again that are due. Called by the alarm, which is set again while others are under way. */
  retry() {
    const { runtime, schedule } = this.#parts;
    const now = runtime.now();
    for (const channel of this.#channels.values()) {
      if (channel.isReporting) schedule.due(now + CRASH_CHECK);
      else if (channel.pendingRetry && isDue(channel.pendingRetry, now)) this.#report(channel);
    }
  }
};

// src/runtime/object-names.ts
function channelOf(object) {
  const end = object.indexOf("!");
  return end < 0 ? object : object.slice(0, end);
}
function parentOf(object) {
  const end = object.lastIndexOf("!");
  return end < 0 ? void 0 : object.slice(0, end);
}
function childOf(object, n) {
  return `${object}!${n}`;
}

// src/auth/grants.ts
function grantsFault(grants, keys) {
  if (!keys) return grants ? "needless" : void 0;
  if (!grants) return "missing";
  return keys.has(grants.key) ? void 0 : "outdated";
}
function maySubscribe(grants, channel) {
  if (!grants || channel === EVERYONE || matchesAny(grants.subscribe, channel)) return true;
  const subject = subjectOf(channel);
  return subject !== void 0 && (subject === EVERYONE || matchesAny(grants.subscribe, subject));
}
function mayAnnounce(grants, channel) {
  return !grants || isNamed(grants.announce, channel);
}
function mayEnter(grants, channel) {
  return !grants || isNamed(grants.enter ?? [], channel);
}
function mayEnterAs(grants, member) {
  return grants?.sub === void 0 || grants.sub === member;
}
function isNamed(patterns, channel) {
  return channel === EVERYONE ? patterns.includes(EVERYONE) : matchesAny(patterns, channel);
}
function mayOperate(grants) {
  return !grants || grants.operate === true;
}
function hasExpired(grants, now) {
  return grants !== void 0 && grants.until <= now;
}
function isNames(value) {
  return Array.isArray(value) && value.every((name) => typeof name === "string");
}
function isGrants(value) {
  if (typeof value !== "object" || value === null) return false;
  const { subscribe, announce, enter, until, operate, sub, iat, key } = value;
  const isOptional = (property, type) => property === void 0 || typeof property === type;
  return isNames(subscribe) && isNames(announce) && (enter === void 0 || isNames(enter)) && Number.isFinite(until) && typeof key === "string" && isOptional(operate, "boolean") && isOptional(sub, "string") && isOptional(iat, "number");
}

// src/runtime/limits.ts
var MOST_HISTORY = 5e5;
var MOST_MEMBERS = 5e3;
var MAX_PENDING_BYTES = 32e6;
var MAX_WORK = 1e4;
var SettingError = class extends Error {
};
function readLimits(variables) {
  return {
    socketsPerObject: wholeNumber(variables, "SOCKETS_PER_OBJECT", 1e4, 1, 32768),
    linksPerObject: wholeNumber(variables, "LINKS_PER_OBJECT", 100, 1, 1e3),
    maxLineBytes: wholeNumber(variables, "MAX_LINE_BYTES", 65536, 300, 1e6),
    maxChannelsPerConnection: wholeNumber(variables, "MAX_CHANNELS_PER_CONNECTION", 256, 2, 4e3),
    maxBufferedBytes: wholeNumber(variables, "MAX_BUFFERED_BYTES", 4194304, 1e6, 32e6),
    maxPendingBytes: MAX_PENDING_BYTES,
    maxWork: MAX_WORK,
    linesPerSecond: wholeNumber(variables, "LINES_PER_SECOND", 1e4, 1, 1e6),
    clientLimit: wholeNumber(variables, "CLIENT_LIMIT", 0, 0, 1e9),
    historySeconds: wholeNumber(variables, "HISTORY_SECONDS", 120, 0, 86400),
    historyBytes: wholeNumber(variables, "HISTORY_BYTES", 262144, 1, MOST_HISTORY),
    historyChannels: channels(variables, "HISTORY_CHANNELS", "*"),
    presenceGraceSeconds: wholeNumber(variables, "PRESENCE_GRACE_SECONDS", 15, 0, 3600),
    membersPerChannel: wholeNumber(variables, "MEMBERS_PER_CHANNEL", 1e3, 0, MOST_MEMBERS)
  };
}
function hasHistory({ historySeconds, historyChannels }, channel) {
  return historySeconds > 0 && (subjectOf(channel) !== void 0 || matchesAny(historyChannels, channel));
}
function text(variables, name) {
  const value = variables[name];
  if (value === void 0 || value === "") return void 0;
  if (typeof value === "string") return value;
  throw new SettingError(`${name} must be text`);
}
function channels(variables, name, fallback) {
  return (text(variables, name) ?? fallback).split(/[\s,]+/).map((pattern) => {
    if (isPattern(pattern)) return pattern;
    throw new SettingError(
      `${name} must be channel names or prefixes followed by '*', separated by spaces or commas, not '${pattern}'`
    );
  });
}
function isPattern(text2) {
  if (text2 === "*") return true;
  return (text2.endsWith("*") ? nameFault(text2.slice(0, -1)) : channelFault(text2)) === void 0;
}
function wholeNumber(variables, name, fallback, least, most) {
  const value = variables[name];
  if (value === void 0 || value === "") return fallback;
  const number = /^\d+$/.test(String(value)) ? Number(value) : Number.NaN;
  if (Number.isSafeInteger(number) && number >= least && number <= most) return number;
  throw new SettingError(`${name} must be a whole number from ${least} to ${most}, not '${String(value)}'`);
}

// src/tree/position-waiters.ts
var ARRIVAL_TIMEOUT = 1e5;
var PositionWaiters = class {
  #now;
  #byChannel = /* @__PURE__ */ new Map();
  constructor({ now }) {
    this.#now = now;
  }
  /** Resolves when the message of a channel has arrived, or when `releaseAll` is called. */
  wait(channel, position) {
    const waiters = this.#byChannel.get(channel) ?? [];
    this.#byChannel.set(channel, waiters);
    return new Promise((resolve) => waiters.push({ position, since: this.#now(), resolve }));
  }
  /** Resolves waiters whose positions are at most `last`, the newest position that has arrived. */
  reach(channel, last) {
    const waiters = this.#byChannel.get(channel);
    if (!waiters) return;
    for (const { position, resolve } of waiters) if (position <= last) resolve();
    const left = waiters.filter(({ position }) => position > last);
    if (left.length > 0) this.#byChannel.set(channel, left);
    else this.#byChannel.delete(channel);
  }
  /** Resolves all waiters of a channel, because its link has ended. */
  releaseAll(channel) {
    this.reach(channel, Number.POSITIVE_INFINITY);
  }
  /** Whether there are any waiters. */
  get hasAny() {
    return this.#byChannel.size > 0;
  }
  /** The channels with waiters that have timed out. */
  get overdue() {
    const since = this.#now() - ARRIVAL_TIMEOUT;
    const isOverdue = (waiter) => waiter.since <= since;
    return [...this.#byChannel].flatMap(([channel, waiters]) => waiters.some(isOverdue) ? [channel] : []);
  }
};

// src/tree/former-links.ts
var MAX_CHANNELS = 1e3;
var FormerLinks = class {
  #now;
  #parents = /* @__PURE__ */ new Map();
  #positions = /* @__PURE__ */ new Map();
  constructor({ now }) {
    this.#now = now;
  }
  /** Records a link that has ended; `last` is the newest position that arrived over it, if known. */
  add({ channel, parent, last }) {
    if (parent !== channel) remember(this.#parents, channel, parent);
    if (last !== void 0 && last > this.lastPosition(channel))
      remember(this.#positions, channel, { last, at: this.#now() });
  }
  /**
   * Returns the child that was a channel's parent, only once: if it doesn't answer, the next request goes to the root.
   */
  takeParent(channel) {
    const parent = this.#parents.get(channel);
    this.#parents.delete(channel);
    return parent;
  }
  /** Returns the newest position that arrived; 0 once any child must have reached it, or been cut off. */
  lastPosition(channel) {
    const { last, at } = this.#positions.get(channel) ?? { last: 0, at: 0 };
    return this.#now() < at + ARRIVAL_TIMEOUT ? last : 0;
  }
  /** Forgets the position of a channel whose root may never reach it again. */
  forgetPosition(channel) {
    this.#positions.delete(channel);
  }
};
function remember(map, channel, value) {
  if (map.size >= MAX_CHANNELS) map.clear();
  map.set(channel, value);
}

// src/protocol/close-codes.ts
var TRY_AGAIN = 1013;
var POLICY = 1008;
var TOO_BIG = 1009;
var CLOSINGS = {
  lost: { status: TRY_AGAIN, code: "unavailable" },
  slow: { status: TRY_AGAIN, code: "unavailable" },
  unreachable: { status: TRY_AGAIN, code: "unavailable" },
  unkept: { status: TRY_AGAIN, code: "unavailable" },
  greeting: { status: TRY_AGAIN, code: "unavailable" },
  busy: { status: TRY_AGAIN, code: "unavailable" },
  expired: { status: POLICY, code: "expired" },
  revoked: { status: POLICY, code: "revoked" },
  outdated: { status: POLICY, code: "expired" },
  unauthorized: { status: POLICY, code: "expired" },
  settings: { status: TRY_AGAIN, code: "unavailable" },
  waiting: { status: POLICY, code: "limit" },
  rate: { status: POLICY, code: "rate" },
  frame: { status: TOO_BIG, code: "limit" }
};
function isClosingCause(word) {
  return Object.hasOwn(CLOSINGS, word);
}

// src/stats/tally.ts
var CLOSED = ["client", ...Object.keys(CLOSINGS).filter(isClosingCause)];
var CALLS = [
  "link",
  "unlink",
  "deliver",
  "forward",
  "announce",
  "recover",
  "present",
  "restate",
  "members",
  "fill",
  "revoke",
  "revoked",
  "revocations",
  "claim",
  "recount",
  "figures",
  "serviceFigures",
  "tally",
  "channels",
  "summary",
  "describe"
];
var MISTAKES = /* @__PURE__ */ new Set(["invalid", "no-history", "conflict"]);
var LOGGED_REFUSALS = ERROR_CODES.filter((code) => !MISTAKES.has(code));
var LOGGED = /* @__PURE__ */ new Set([
  ...CLOSED.filter((cause) => cause !== "client" && cause !== "expired").map((cause) => `closes.${cause}`),
  ...LOGGED_REFUSALS.map((code) => `refused.${code}`),
  ...CALLS.map((kind) => `failures.${kind}`),
  "resumes.gap",
  "rows.refused"
]);
var UNCERTAIN = /* @__PURE__ */ new Set(["announce", "forward"]);
function labelsOf(name) {
  const [group, value = ""] = name.split(".");
  if (group === "closes") {
    return isClosingCause(value) ? { reason: value, code: CLOSINGS[value].code } : { reason: "client", code: "" };
  }
  if (group === "refused" || group === "requests") return isErrorCode(value) ? { code: value } : {};
  if (group === "failures") return { kind: value, code: UNCERTAIN.has(value) ? "uncertain" : "unavailable" };
  if (group === "worker") return { kind: value, code: "unavailable" };
  if (group === "calls" || group === "members") return { kind: value };
  if (group === "resumes") return { outcome: value };
  return name === "rows.refused" ? { code: "unavailable" } : {};
}
function isTally(value) {
  return isRecord(value) && Object.values(value).every(isNumber);
}
function sumOfTallies(one = {}, other = {}) {
  const sum = { ...one };
  for (const [name, n] of Object.entries(other)) sum[name] = (sum[name] ?? 0) + n;
  return sum;
}

// src/tree/position-floors.ts
var MAX_CHARACTERS2 = 1e3;
var PositionFloors = class {
  #keeper;
  #byChannel = /* @__PURE__ */ new Map();
  constructor(keeper) {
    this.#keeper = keeper;
  }
  /** Restores the floors that were persisted when the object hibernated. */
  start() {
    const { kept } = this.#keeper;
    const floors = kept && "floors" in kept && isTally(kept.floors) ? kept.floors : {};
    this.#byChannel = new Map(Object.entries(floors));
  }
  /** Whether a position is below the channel's floor, so that its root must have lost positions. */
  isBelow(channel, position) {
    return position < (this.#byChannel.get(channel) ?? 0);
  }
  /** Sets the floor of a channel whose root has moved its newest messages after a position. */
  raise(channel, position) {
    this.#byChannel.delete(channel);
    this.#byChannel.set(channel, position);
    this.#save();
  }
  /** Deletes the floor of a channel, once its link has ended. */
  forget(channel) {
    if (this.#byChannel.delete(channel)) this.#save();
  }
  /** Saves the newest floors, as many as there is room for. */
  #save() {
    const floors = {};
    let characters = 0;
    for (const [channel, position] of [...this.#byChannel].reverse()) {
      characters += channel.length;
      if (characters > MAX_CHARACTERS2) break;
      floors[channel] = position;
    }
    this.#keeper.keep({ floors: characters > 0 ? floors : void 0 });
  }
};

// src/tree/unlinks.ts
var LINK = "upstream:";
var isLinkRow = shape({
  parent: isString,
  epoch: isNumber,
  left: optional(isNumber)
});
var Unlinks = class {
  #parts;
  #isNeeded;
  /** By channel: one at a time has the row. */
  #pending = /* @__PURE__ */ new Map();
  /** @param isNeeded returns whether the channel is about to be linked again: that request tells the parent too */
  constructor(parts, isNeeded) {
    this.#parts = parts;
    this.#isNeeded = isNeeded;
  }
  /** Whether the row of a channel belongs to a link that has ended. */
  has(channel) {
    return this.#pending.has(channel);
  }
  /**
   * Tells the parent that a link has ended.
   * @param left as in its row
   */
  begin(link, left) {
    this.#parts.runtime.keep(this.#untilKnown(this.#add(link, left)));
  }
  /** Tells the parent later: it doesn't answer, and may or may not have the link. */
  postpone(link) {
    this.#defer(this.#add(link));
  }
  /** Deletes the row of a link whose end the parent knows. */
  finish(link) {
    const pending = this.#add(link);
    pending.isKnown = true;
    this.#forget(pending);
  }
  /** Notes that a new link has overwritten the row of a channel. */
  replace(channel) {
    this.#pending.delete(channel);
  }
  /** Retries the unlinks that are due. */
  retry() {
    const now = this.#parts.runtime.now();
    for (const pending of this.#unneeded) {
      const { isTelling, pendingRetry } = pending;
      if (!isTelling && pendingRetry && isDue(pendingRetry, now)) this.#parts.runtime.keep(this.#untilKnown(pending));
    }
  }
  get #unneeded() {
    return [...this.#pending.values()].filter(({ channel }) => !this.#isNeeded(channel));
  }
  /** When to call `retry`, in milliseconds since 1970; infinite if nothing is left to do. */
  get dueAt() {
    return earliestRetry(
      this.#unneeded.flatMap(({ pendingRetry }) => pendingRetry ?? []),
      this.#parts.runtime.now()
    );
  }
  /**
   * Deletes rows that storage refused to delete, and persists whether it still has any.
   * @param isUnsure whether storage has rows of links that this object couldn't confirm
   */
  settle(isUnsure) {
    for (const pending of [...this.#pending.values()]) if (pending.isKnown) this.#forget(pending);
    const areDoubtful = isUnsure || [...this.#pending.values()].some(({ isNoted }) => !isNoted);
    if (areDoubtful !== areRowsDoubtful(this.#parts.connections))
      this.#parts.connections.keep({ areRowsDoubtful: areDoubtful });
  }
  #add(link, left) {
    const pending = {
      ...link,
      counters: link.counters,
      pendingRetry: left === void 0 ? void 0 : { since: left, next: void 0 },
      isNoted: left !== void 0,
      isKnown: false,
      isTelling: false
    };
    this.#pending.set(link.channel, pending);
    return pending;
  }
  async #untilKnown(pending) {
    pending.isTelling = true;
    await pending.asking?.catch(() => {
    });
    try {
      await retry(this.#parts.runtime, () => this.#tell(pending));
    } catch {
      pending.isTelling = false;
      this.#defer(pending);
      return;
    }
    pending.isKnown = true;
    this.#forget(pending);
    this.#changed();
    await this.#parts.runtime.store.sync();
  }
  /** Counters go with the first attempt only: if that fails, the parent may have added them. */
  async #tell(pending) {
    const { parent, epoch, counters } = pending;
    pending.counters = void 0;
    await this.#parts.runtime.call(parent, "unlink", { from: this.#parts.runtime.name, epoch, counters });
  }
  /** Notes in storage that the parent couldn't be told. */
  #defer(pending) {
    if (this.#pending.get(pending.channel) !== pending) return;
    const now = this.#parts.runtime.now();
    const { channel, parent, epoch } = pending;
    pending.pendingRetry ??= { since: now, next: void 0 };
    postpone(pending.pendingRetry, now);
    const row = { parent, epoch, left: pending.pendingRetry.since };
    pending.isNoted ||= this.#parts.runtime.store.put(LINK + channel, row);
    this.#changed();
  }
  #changed() {
    this.#parts.schedule.due(this.dueAt);
    this.#parts.schedule.stay();
  }
  #forget(pending) {
    const { channel } = pending;
    if (this.#pending.get(channel) !== pending) return;
    if (this.#parts.runtime.store.delete(LINK + channel)) this.#pending.delete(channel);
  }
};
function areRowsDoubtful({ kept }) {
  return kept !== void 0 && "areRowsDoubtful" in kept && kept.areRowsDoubtful === true;
}

// src/tree/upstream-link.ts
function isMissingMessages({ channel, last }, { after, again, lost, follows = after }, floors) {
  if (lost || last === void 0) return lost || again || floors.isBelow(channel, follows);
  if (last === follows) return false;
  return after > last || after < last && !again;
}

// src/tree/upstream.ts
var Unreachable = class extends Error {
};
var StorageFull = class extends Unreachable {
};
var Upstream = class {
  #parts;
  #log;
  #receiver;
  #floors;
  #links = /* @__PURE__ */ new Map();
  unlinks;
  #waiters;
  #former;
  /** Whether the rows of links survived hibernation rather than a crash. */
  #areRowsTrusted = false;
  #newestEpoch = 0;
  /** Where this object's connections come from; a child tells its parent. */
  region = "";
  /** @param log of this object's own channel; a child learns its position with its link */
  constructor(parts, log, receiver) {
    const { runtime, connections } = parts;
    this.#parts = parts;
    this.#log = log;
    this.#receiver = receiver;
    this.#waiters = new PositionWaiters(runtime);
    this.#former = new FormerLinks(runtime);
    this.#floors = new PositionFloors(connections);
    this.unlinks = new Unlinks(parts, (channel) => receiver.needs(channel));
  }
  /**
   * Restores links, and ends unneeded ones, which a crash or an unreachable parent left behind.
   * @returns whether a crash left any
   */
  start() {
    this.#areRowsTrusted = this.#parts.connections.hasSlept && !areRowsDoubtful(this.#parts.connections);
    this.#floors.start();
    let hasCrashed = false;
    for (const [key, value] of [...this.#parts.runtime.store.list(LINK)]) {
      const channel = key.slice(LINK.length);
      const row = rowOf(value, isLinkRow);
      if (!row || row.left === void 0 && this.#receiver.needs(channel)) continue;
      this.#newestEpoch = Math.max(this.#newestEpoch, row.epoch);
      this.#former.add({ channel, ...row, last: void 0 });
      this.unlinks.begin({ channel, ...row, asking: void 0 }, row.left);
      this.#forgetPosition(channel);
      hasCrashed ||= row.left === void 0;
    }
    return hasCrashed;
  }
  /** Whether this object has requested a link to a channel, and not ended it. */
  has(channel) {
    return this.#link(channel) !== void 0;
  }
  /** Whether messages of a channel are received here, and others may rely on that. */
  isLinked(channel) {
    return this.#link(channel)?.confirmed ?? false;
  }
  /**
   * Links this object to a channel, or confirms its link. When it resolves, and `isLinked` still says so, all messages
   * that get their position from then on will be received.
   * @throws Unreachable if the channel's object doesn't answer
   */
  async join(channel) {
    const link = this.#link(channel) ?? this.#ask(channel);
    if (!link.confirmed) link.asking ??= this.#untilConfirmed(link);
    await link.asking;
  }
  /**
   * Whether the link to a channel is the one whose epoch its parent has vouched for to the object that asks. The word is
   * good for that object only, as it gets old. A child must also know its position.
   */
  isVouchedFor(channel, epoch) {
    const link = this.#link(channel);
    return link?.linked === true && link.epoch === epoch && this.#log.position !== void 0;
  }
  /** The position of the newest received message of a channel; undefined if it isn't known. */
  positionOf(channel) {
    const link = this.#link(channel);
    return link?.confirmed ? link.last : void 0;
  }
  /** Has the link to a channel confirmed before others rely on it. */
  doubt(channel) {
    const link = this.#link(channel);
    if (!link) return;
    link.doubted = true;
    link.confirmed = false;
  }
  /** Ends the link to a channel that this object no longer needs. */
  leave(channel) {
    const link = this.#link(channel);
    if (!link) return;
    this.#remove(link);
    this.#former.add(link);
    this.unlinks.begin({ ...link, counters: this.#receiver.takeCounters(channel) });
    this.#forgetPosition(channel);
  }
  /** Persists what storage refused. */
  settle() {
    this.unlinks.settle([...this.#links.values()].some(({ hasRow, confirmed }) => hasRow && !confirmed));
  }
  /** Receives a delivery: passes new messages on, exactly once and in order, or ends the link. */
  deliver(delivery) {
    const link = this.#link(delivery.channel);
    if (link?.epoch !== delivery.epoch || link.parent !== delivery.from) return this.#gone(delivery.channel);
    if (delivery.number <= link.newestDelivery) return { gone: false, newer: link.newestDelivery };
    link.newestDelivery = delivery.number;
    if (delivery.where && link.last !== void 0) return { gone: false, last: link.last };
    const isNeeded = link.asking !== void 0 || this.#receiver.needs(link.channel);
    if (isNeeded && !isMissingMessages(link, delivery, this.#floors)) {
      this.#receive(link, delivery);
      return { gone: false };
    }
    this.#drop(link);
    if (isNeeded) this.#receiver.lose(link.channel);
    return this.#gone(delivery.channel);
  }
  /** Ends a link whose messages are missing, for example because the root has forgotten them. */
  abandon(channel) {
    if (!this.#link(channel)) return;
    this.leave(channel);
    this.#former.forgetPosition(channel);
    this.#receiver.lose(channel);
  }
  /** Whether this object is linked to a channel, but doesn't know its position there. */
  isUnlocated(channel) {
    const link = this.#link(channel);
    return link?.linked === true && link.last === void 0;
  }
  /** The position of the newest received message of a channel, also if its link isn't confirmed. */
  arrived(channel) {
    return this.#link(channel)?.last;
  }
  /** Resolves when a message has been passed on here, or never will be; undefined if that is so already. */
  reached(channel, position) {
    const link = this.#link(channel);
    if (!link?.linked || (link.last ?? -1) >= position) return void 0;
    this.#parts.schedule.stay();
    return this.#waiters.wait(channel, position);
  }
  /** Ends links whose messages are overdue; returns whether others are awaited. */
  loseOverdue() {
    if (!this.#waiters.hasAny) return false;
    for (const channel of this.#waiters.overdue) this.abandon(channel);
    return this.#waiters.hasAny;
  }
  #link(channel) {
    const known = this.#links.get(channel);
    if (known || this.unlinks.has(channel)) return known;
    const row = rowOf(this.#parts.runtime.store.get(LINK + channel), isLinkRow);
    if (!row) return void 0;
    const last = this.#isOwn(channel) ? this.#log.position : void 0;
    const linked = { linked: true, hasRow: true };
    if (last === void 0 || !this.#floors.isBelow(channel, last)) {
      return this.#add(channel, row, { ...linked, last, confirmed: this.#areRowsTrusted });
    }
    this.#log.forgetPosition();
    return this.#add(channel, row, { ...linked, last: void 0, confirmed: false });
  }
  #isOwn(channel) {
    return channel === channelOf(this.#parts.runtime.name);
  }
  #add(channel, { parent, epoch }, known) {
    this.#newestEpoch = Math.max(this.#newestEpoch, epoch);
    const asked = { channel, parent, epoch, vouched: void 0, newestDelivery: 0, doubted: false, asking: void 0 };
    const link = { ...asked, ...known };
    this.#links.set(channel, link);
    return link;
  }
  /** Epochs are times, so they rise across crashes and after the storage was given back. */
  #nextEpoch() {
    this.#newestEpoch = Math.max(this.#newestEpoch + 1, this.#parts.runtime.now());
    return this.#newestEpoch;
  }
  #ask(channel) {
    const parent = this.#isOwn(channel) && parentOf(this.#parts.runtime.name) || this.#former.takeParent(channel) || channel;
    const epoch = this.#nextEpoch();
    if (this.#isOwn(channel)) this.#log.forgetPosition();
    const known = { last: void 0, linked: false, hasRow: false, confirmed: false };
    return this.#add(channel, { parent, epoch }, known);
  }
  async #untilConfirmed(link) {
    const isOpen = () => !link.confirmed && this.#links.get(link.channel) === link;
    try {
      while (isOpen()) {
        this.#write(link);
        await retry(this.#parts.runtime, () => this.#request(link), isOpen);
        if (isOpen() && this.#isBehind(link)) {
          await this.reached(link.channel, this.#former.lastPosition(link.channel));
        }
      }
    } catch (cause) {
      if (!isOpen()) return;
      if (!link.linked) this.#giveUp(link, cause);
      if (cause instanceof Unreachable) throw cause;
      throw new Unreachable("the channel's object doesn't answer", { cause });
    } finally {
      link.asking = void 0;
    }
  }
  /** Writes which link is requested: after a crash the object knows what to end. */
  #write(link) {
    const { channel, parent, epoch } = link;
    const row = { parent, epoch };
    if (link.linked) return;
    if (!this.#parts.runtime.store.put(LINK + channel, row)) {
      throw new StorageFull("the server's storage takes no more rows");
    }
    link.hasRow = true;
    this.unlinks.replace(channel);
  }
  /** Gives a request up. If the parent didn't answer, it may have the link, so it has to be told. */
  #giveUp(link, cause) {
    this.#remove(link);
    if (!(cause instanceof StorageFull)) this.unlinks.postpone({ ...link, asking: void 0 });
    else if (link.hasRow) this.unlinks.finish(link);
  }
  /**
   * Requests a link once. The answer is the link, its loss, or another parent or epoch to try. The call has a budget of
   * its own, because the parent may have to request a link first, and objects that waited for each other would deadlock.
   */
  async #request(link) {
    const { channel, parent, epoch, linked, vouched } = link;
    const restarted = link.newestDelivery === 0 && !this.#parts.connections.hasSlept;
    const still = linked ? { last: link.last, restarted } : void 0;
    link.doubted = false;
    const request = { from: this.#parts.runtime.name, epoch, region: this.region, still, vouched };
    const answer = await this.#parts.runtime.call(parent, "link", request, true);
    if (this.#links.get(channel) !== link) return;
    if ("instead" in answer) {
      link.parent = answer.instead;
      link.vouched = answer.vouched;
    } else if ("after" in answer) {
      if (linked && this.#floors.isBelow(channel, answer.after)) this.abandon(channel);
      else this.#linked(link, answer.after);
    } else if (linked) {
      this.#drop(link);
      this.#receiver.lose(channel);
    } else {
      this.#newestEpoch = Math.max(this.#newestEpoch, answer.newer);
      link.epoch = this.#nextEpoch();
    }
  }
  #linked(link, after) {
    if (this.#isOwn(link.channel) && this.#log.position === void 0) this.#log.begin(after);
    link.last ??= after;
    link.linked = true;
    link.confirmed = !link.doubted && !this.#isBehind(link);
    this.#waiters.reach(link.channel, link.last);
  }
  /** Whether this object had received more of a channel before it left that, by another parent. A root is never behind. */
  #isBehind({ channel, parent, linked, last = 0 }) {
    return linked && parent !== channel && !this.#isOwn(channel) && last < this.#former.lastPosition(channel);
  }
  /** Answers a delivery by a link that this object doesn't have. */
  #gone(channel) {
    this.#forgetPosition(channel);
    return { gone: true };
  }
  /** Forgets the position of this object's own channel if it isn't linked to it. */
  #forgetPosition(channel) {
    if (this.#isOwn(channel) && !this.#links.has(channel)) this.#log.forgetPosition();
  }
  /** Ends a link whose parent knows, or will know by an answer, that it has ended. */
  #drop(link) {
    this.#remove(link);
    this.unlinks.finish(link);
  }
  #remove(link) {
    this.#links.delete(link.channel);
    this.#waiters.releaseAll(link.channel);
    this.#floors.forget(link.channel);
  }
  #receive(link, { channel, after, follows, count: count2, lines }) {
    if (follows !== void 0 && (link.last ?? follows) === follows) {
      this.#receiver.renumber(channel, after);
      this.#floors.raise(channel, after);
      link.last = after;
    }
    const known = link.last === void 0 ? 0 : Math.min(link.last - after, count2);
    if (known < count2) {
      this.#receiver.receive(channel, dropLines(lines, known), count2 - known, after + known);
    }
    link.last = Math.max(link.last ?? 0, after + count2);
    this.#waiters.reach(channel, link.last);
  }
};

// src/tree/forwarding.ts
var MAX_BUFFERED = 9e6;
var MAX_CALL = 1e6;
var QueueFull = class extends Error {
};
var KeyConflict = class extends Error {
};
var Forwarding = class {
  #runtime;
  #maxBuffered;
  #upstream;
  /** The channels that have announcements pending or in flight. */
  #queues = /* @__PURE__ */ new Map();
  /** Characters of announcements that are pending or in flight, for all channels. */
  #buffered = 0;
  #newestBatch = 0;
  /** @param maxBuffered the most characters that are buffered for one channel */
  constructor(runtime, maxBuffered, upstream) {
    this.#runtime = runtime;
    this.#upstream = upstream;
    this.#maxBuffered = maxBuffered;
  }
  /**
   * Announces messages, formatted as lines, which get consecutive positions. A failed call isn't retried, because it
   * may have been carried out.
   * @param key the idempotency key of a single message
   * @returns the position of the last message
   * @throws QueueFull or KeyConflict if nothing was announced; any other error if the messages may have been announced
   */
  forward(channel, lines, count2, key) {
    const known = this.#queues.get(channel);
    const queue = known ?? { pending: [], buffered: 0 };
    this.#queues.set(channel, queue);
    if (!known) this.#runtime.keep(this.#send(channel, queue));
    const free = MAX_BUFFERED - this.#buffered;
    if (queue.buffered > 0 && queue.buffered + lines.length > Math.min(this.#maxBuffered, free)) {
      return Promise.reject(new QueueFull("too many announcements are pending for this channel"));
    }
    if (this.#buffered > 0 && lines.length > free) {
      return Promise.reject(new QueueFull("too many announcements are pending for other channels"));
    }
    queue.buffered += lines.length;
    this.#buffered += lines.length;
    return new Promise((resolve, reject) => queue.pending.push({ lines, count: count2, key, resolve, reject }));
  }
  async #send(channel, queue) {
    await void 0;
    while (queue.pending.length > 0) {
      const parts = queue.pending.splice(0, batchLength(queue.pending));
      const size = parts.reduce((sum, { lines }) => sum + lines.length, 0);
      try {
        const positions = await this.#positions(channel, parts);
        for (const [i, position] of positions.entries()) {
          if (position === void 0) parts[i]?.reject(new KeyConflict());
          else parts[i]?.resolve(position);
        }
      } catch (cause) {
        for (const part of parts) part.reject(cause);
      }
      queue.buffered -= size;
      this.#buffered -= size;
    }
    this.#queues.delete(channel);
  }
  /**
   * Sends announcements to the root. Batch numbers are times, so they rise even if this object leaves memory in
   * between.
   * @returns the position of the last message of each part; undefined where the key was used for another message
   */
  async #positions(channel, parts) {
    const lines = parts.map((part) => part.lines).join("");
    const count2 = parts.reduce((sum, part) => sum + part.count, 0);
    const keys = parts.flatMap(({ key }) => key === void 0 ? [] : [key]);
    for (; ; ) {
      this.#newestBatch = Math.max(this.#newestBatch + 1, this.#runtime.now());
      const batch = { from: this.#runtime.name, number: this.#newestBatch, lines, count: count2 };
      if (keys.length > 0) batch.keys = keys;
      const arrived = this.#upstream.arrived(channel) ?? 0;
      const answer = await this.#runtime.call(channel, "forward", batch);
      if ("newer" in answer) {
        this.#newestBatch = Math.max(this.#newestBatch, answer.newer);
        continue;
      }
      if (answer.before < arrived) this.#upstream.abandon(channel);
      return "positions" in answer ? answer.positions : positionsUpTo(answer.last, parts);
    }
  }
};
function positionsUpTo(last, parts) {
  let position = last - parts.reduce((sum, { count: count2 }) => sum + count2, 0);
  return parts.map(({ count: count2 }) => position += count2);
}
function batchLength(pending) {
  const isKeyed = ({ key }) => key !== void 0;
  const [first] = pending;
  let characters = 0;
  const end = pending.findIndex((part) => {
    const isOtherKind = first !== void 0 && isKeyed(part) !== isKeyed(first);
    const isFull = characters > MAX_CALL;
    characters += part.lines.length;
    return isOtherKind || isFull;
  });
  return end < 0 ? pending.length : end;
}
var MAX_SENDERS = 1e4;
function batchNumbers() {
  const newestOf2 = /* @__PURE__ */ new Map();
  return ({ from, number }) => {
    const newest = newestOf2.get(from) ?? 0;
    if (number <= newest) return newest;
    if (newestOf2.size >= MAX_SENDERS) newestOf2.clear();
    newestOf2.set(from, number);
    return void 0;
  };
}

// src/session/announce-fault.ts
function announceFault(error) {
  if (error instanceof KeyConflict) return { code: "conflict", why: KEY_CONFLICT };
  if (error instanceof QueueFull) return { code: "unavailable", why: `${error.message}; try again` };
  if (wasNotMade(error)) return { code: "unavailable", why: "too many calls are in flight; try again" };
  const isOverloaded = error instanceof CallFailed && error.why === "overloaded";
  const cause = isOverloaded ? "is overloaded" : "doesn't answer";
  return { code: "uncertain", why: `the announcement may be lost: the channel's object ${cause}` };
}

// src/channel/log.ts
var Log = class {
  /** Entries before `#first` were dropped. Their slots are freed once they make up half of the array. */
  #entries = [];
  #first = 0;
  #size = 0;
  #position;
  #start;
  /** `trim` leaves messages after this position alone. */
  #retainedAfter = Number.POSITIVE_INFINITY;
  /** @param position of the newest message; undefined if this object doesn't know it yet */
  constructor(position) {
    this.#position = this.#start = position;
  }
  /** The position of the newest message; undefined while this object doesn't know it. */
  get position() {
    return this.#position;
  }
  /** The position after which the log is complete. */
  get start() {
    return this.#start;
  }
  /** Characters of messages in the log. */
  get size() {
    return this.#size;
  }
  /** Appends messages, which get the next positions. */
  append(lines, count2, key) {
    assert(this.#position !== void 0, "the log knows its position before it appends");
    const entry = { last: this.#position + count2, count: count2, lines, key };
    this.#position = entry.last;
    this.#entries.push(entry);
    this.#size += lines.length;
    return entry;
  }
  /** Gives messages the next positions, but doesn't store them. */
  skip(lines, count2) {
    assert(this.#position !== void 0, "the log knows its position before it appends");
    if (this.#size > 0) this.#clear();
    this.#position = this.#start = this.#position + count2;
    return { last: this.#position, count: count2, lines, key: void 0 };
  }
  /**
   * Returns the messages after a position: at most `most` characters, but at least one message. The result never spans
   * a renumbering. If `position` is just before one, `after` is the position that replaced it.
   */
  since(position, most) {
    const start = this.#firstAfter(position);
    const first = this.#entries[start];
    const after = Math.max(position, first ? first.last - first.count : this.#position ?? position);
    let end = after;
    let lines = "";
    for (let i = start; i < this.#entries.length; i++) {
      const entry = this.#entries[i];
      if (!entry || entry.last - entry.count > end) break;
      const more = dropLines(entry.lines, end - (entry.last - entry.count));
      if (lines.length + more.length > most) {
        const part = linesWithin(more, most - lines.length) || (end === after ? firstLines(more, 1) : "");
        lines += part;
        end += countEnds(part);
        break;
      }
      lines += more;
      end = entry.last;
    }
    return { after, count: end - after, lines };
  }
  /** Returns the announcements after a position. */
  after(position) {
    return this.#entries.slice(this.#firstAfter(position)).filter((entry) => entry !== void 0);
  }
  #firstAfter(position) {
    return this.#entries.findLastIndex((entry) => !entry || entry.last <= position) + 1;
  }
  /** Moves the messages after `position` to the positions after `base`. */
  renumber(position, base) {
    assert(this.#position !== void 0 && base >= this.#position, "positions only rise");
    const shift = base - position;
    for (const entry of this.after(position)) entry.last += shift;
    this.#position += shift;
  }
  /** Makes `trim` leave messages after a position alone, even if no link needs them. */
  retainAfter(position) {
    this.#retainedAfter = position;
  }
  /** Drops the messages up to a position, except retained ones. */
  trim(position) {
    const to = Math.min(position, this.#retainedAfter);
    this.#dropUntil((entry) => entry.last > to);
  }
  /** Drops the oldest messages until at most `size` characters are left; returns the new `start`. */
  trimTo(size) {
    this.#dropUntil(() => this.#size <= size);
    return this.start;
  }
  /** Empties the log and continues after a position. */
  begin(position) {
    this.#clear();
    this.#position = this.#start = position;
  }
  /** Empties the log, and forgets its position. */
  forgetPosition() {
    this.#clear();
    this.#position = this.#start = void 0;
  }
  #clear() {
    this.#entries = [];
    this.#first = 0;
    this.#size = 0;
  }
  #dropUntil(enough) {
    for (; ; this.#first++) {
      const oldest = this.#entries[this.#first];
      if (!oldest || enough(oldest)) break;
      this.#size -= oldest.lines.length;
      this.#start = oldest.last;
      this.#entries[this.#first] = void 0;
    }
    if (this.#first === 0 || this.#first * 2 < this.#entries.length) return;
    this.#entries = this.#entries.slice(this.#first);
    this.#first = 0;
  }
};

// src/tree/catch-up.ts
var MAX_BUFFERED2 = 4e6;
var PendingCatchUp = class {
  /** The messages that have arrived since the first request. */
  log;
  requests = 0;
  /** Whether messages have been lost since, or the channel was renumbered. */
  isAborted = false;
  /** The combined requests for the next call. */
  wanted = { since: void 0, last: 0 };
  /** The next call, which starts after the current one. */
  next;
  /** The call in flight. */
  current;
  /** @param position of the newest message that has arrived */
  constructor(position) {
    this.log = new Log(position);
  }
};
var CatchUp = class {
  #runtime;
  #pending = /* @__PURE__ */ new Map();
  constructor(runtime) {
    this.#runtime = runtime;
  }
  /** Whether any connection is catching up on a channel. */
  isPending(channel) {
    return this.#pending.has(channel);
  }
  /** Records messages of a channel that have arrived over its link. */
  append(channel, lines, count2) {
    const pending = this.#pending.get(channel);
    if (!pending) return;
    pending.log.append(lines, count2);
    if (pending.log.size > MAX_BUFFERED2) this.abort(channel);
  }
  /** Aborts the requests of a channel, because this object no longer knows its position there. */
  abort(channel) {
    const pending = this.#pending.get(channel);
    if (!pending) return;
    pending.isAborted = true;
    this.#pending.delete(channel);
  }
  /**
   * Passes missed messages of a channel to `accept`, up to the newest one that has arrived here at that moment.
   * @returns false if the request was aborted, so that it has to start over
   * @throws if the root doesn't answer
   */
  async readMissed(channel, links, wanted, accept) {
    const pending = this.#pendingFor(channel, links.positionOf(channel));
    pending.requests += 1;
    try {
      const { since, last } = wanted;
      if (since !== void 0) pending.wanted.since = Math.min(since, pending.wanted.since ?? since);
      pending.wanted.last = Math.max(last, pending.wanted.last);
      pending.next ??= this.#askNext(channel, pending);
      const answer = await pending.next;
      if (!("none" in answer)) await links.reached(channel, Math.min(wanted.since ?? 0, answer.after + answer.count));
      if (pending.isAborted || pending.log.position !== links.positionOf(channel)) return false;
      accept("none" in answer ? answer : join(answer, pending.log));
      return true;
    } finally {
      pending.requests -= 1;
      if (pending.requests === 0 && this.#pending.get(channel) === pending) this.#pending.delete(channel);
    }
  }
  /** Returns the catch-up in progress. Starts a new one for the first request, or after the link was replaced. */
  #pendingFor(channel, position) {
    const known = this.#pending.get(channel);
    if (known && known.log.position === position) return known;
    this.abort(channel);
    const pending = new PendingCatchUp(position);
    this.#pending.set(channel, pending);
    return pending;
  }
  async #askNext(channel, pending) {
    await pending.current?.catch(() => {
    });
    await this.#runtime.turn();
    const { wanted, next } = pending;
    pending.wanted = { since: void 0, last: 0 };
    pending.current = next;
    pending.next = void 0;
    const ask = () => this.#runtime.call(channel, "recover", wanted);
    return await retry(this.#runtime, ask, () => !pending.isAborted) ?? { none: true };
  }
};
function join(retained, arrived) {
  const { position = 0, start = position } = arrived;
  const end = retained.after + retained.count;
  if (retained.after > position) return { after: position, count: 0, lines: "" };
  if (end >= position) {
    const count2 = position - retained.after;
    return { after: retained.after, count: count2, lines: firstLines(retained.lines, count2) };
  }
  if (end < start) return arrived.since(start, Number.POSITIVE_INFINITY);
  const more = arrived.since(end, Number.POSITIVE_INFINITY);
  return { after: retained.after, count: retained.count + more.count, lines: retained.lines + more.lines };
}
function selectMissed({ since, last }, retained) {
  const end = retained.after + retained.count;
  const from = since ?? Math.max(retained.after, end - last);
  const isInRange = from >= retained.after && from <= end;
  const after = isInRange ? from : from < retained.after ? retained.after : end;
  const lines = dropLines(retained.lines, after - retained.after);
  return { gap: isInRange ? void 0 : from, after, count: end - after, lines };
}

// src/session/resume.ts
var MAX_MISSED = 4e6;
var Resume = class {
  #parts;
  constructor(parts) {
    this.#parts = parts;
  }
  /**
   * Subscribes a connection to a channel from a position or with the newest messages.
   * @throws CommandError on failure, and if the channel has no history; in that case, the connection is subscribed anyway
   */
  async subscribe(connection, channel, from) {
    try {
      if (!hasHistory(this.#parts.limits, channel)) await this.#subscribeOnly(connection, channel);
      else await this.#resume(connection, channel, from);
    } catch (error) {
      if (error instanceof CommandError) throw error;
      const why = error instanceof Unreachable ? error.message : "the channel's object doesn't answer";
      throw new CommandError("unavailable", `${why}; try again`);
    } finally {
      if (connection.closed) this.#parts.router.leaveIfUnneeded(channel);
    }
  }
  async #subscribeOnly(connection, channel) {
    const { router, lifecycle } = this.#parts;
    while (!router.isLive(channel)) await router.upstream.join(channel);
    if (!connection.closed) lifecycle.subscribe(connection, channel);
    throw new CommandError("no-history", NO_HISTORY);
  }
  async #resume(connection, channel, from) {
    const isNow = "since" in from && from.since === "now";
    if (connection.channels.has(channel) && !isNow) {
      throw new CommandError("invalid", "you are subscribed to this channel; unsubscribe first, or use 'since now'");
    }
    const { runtime, limits, router } = this.#parts;
    if (!isNow) chargeMissed(connection, 0, runtime.now(), limits.historyBytes);
    let hasNone = false;
    const request = requestOf(from);
    await router.readMissed(channel, request, (history) => {
      hasNone = "none" in history;
      if (!("none" in history) && !connection.closed) this.#deliver(connection, channel, request, history);
    });
    if (hasNone) await this.#subscribeOnly(connection, channel);
  }
  /** Sends the position and the missed messages, and subscribes the connection if it isn't subscribed yet. */
  #deliver(connection, channel, request, history) {
    const { runtime, connections, counters, lifecycle } = this.#parts;
    const { gap, after, count: count2, lines } = selectMissed(request, history);
    chargeMissed(connection, lines.length, runtime.now());
    if (request.since !== void 0) counters.note(gap === void 0 ? "resumes.complete" : "resumes.gap");
    if (gap !== void 0) connections.send(connection, formatGap(channel, gap, after));
    connections.send(connection, formatPosition(channel, after));
    connections.send(connection, lines);
    counters.count("messages", count2);
    lifecycle.subscribe(connection, channel, true);
  }
};
function chargeMissed(connection, characters, now, left = 0) {
  const taken = take(connection.missedRate, characters, MAX_MISSED, now);
  if (taken === characters && connection.missedRate.level >= left) return;
  throw new CommandError(
    "rate",
    `a connection gets at most ${MAX_MISSED} characters of missed messages and members per second; try again`
  );
}
function requestOf(from) {
  if ("last" in from) return { since: void 0, last: from.last };
  return { since: from.since === "now" ? void 0 : from.since, last: 0 };
}

// src/session/commands.ts
var Commands = class {
  #parts;
  #resume;
  #lists = /* @__PURE__ */ new WeakMap();
  constructor(parts) {
    this.#parts = parts;
    this.#resume = new Resume(parts);
  }
  /**
   * Resumes the channel of a connection's URL, or only subscribes to it if that fails.
   * @throws Unreachable if this object doesn't receive the channel, so the connection would stay open and get nothing
   */
  async resume(connection, channel, from) {
    try {
      await this.#resume.subscribe(connection, channel, from);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      if (!this.#parts.router.isLive(channel)) throw new Unreachable("the channel can't be reached now");
      const { code, message: why } = error;
      if (!connection.closed) this.#parts.lifecycle.subscribe(connection, channel);
      this.refuse(connection, { code, command: "subscribe", argument: channel, why });
    }
  }
  #send(connection, line) {
    this.#parts.connections.send(connection, line);
  }
  refuse(connection, refusal) {
    this.#parts.counters.note(`refused.${refusal.code}`, 1, { command: refusal.command });
    this.#send(connection, formatError(refusal));
  }
  portionSize(channel) {
    return this.#parts.connections.portionSize(channel);
  }
  close(connection, cause, why) {
    this.#parts.lifecycle.close(connection, cause, why);
  }
  pause(connection, work, needsRoom) {
    const { tokens, drain, pace } = this.#parts;
    if (tokens.hasExpired(connection)) tokens.closeExpired();
    drain.flushIfLarge();
    return pace.after(work, needsRoom);
  }
  execute(connection, step) {
    switch (step.kind) {
      case "announce":
        return this.#announce(connection, step.channel, step.lines, step.count);
      case "subscribe":
        return this.#subscribe(connection, step.channel, step.from);
      case "unsubscribe":
        this.#parts.lifecycle.unsubscribe(connection, step.channel);
        return void 0;
      case "once":
        return this.#announceOnce(connection, step);
      case "keepalive":
        this.#send(connection, ALIVE);
        return void 0;
      case "ping":
        this.#parts.counters.count("pings");
        this.#send(connection, formatTime(this.#parts.runtime.now()));
        return void 0;
      case "info":
        return this.#info(connection);
      case "enter":
        return this.#enter(connection, step.channel, step);
      case "leave":
        return this.#parts.presence.leave(connection, step.channel);
      case "members":
        return this.#members(connection, step.channel);
      case "token":
        return this.#parts.tokens.renew(connection, step.token);
    }
  }
  #announce({ grants }, channel, lines, count2) {
    checkAnnounce(grants, channel);
    return this.#parts.router.announce(channel, lines, count2)?.catch(failToAnnounce);
  }
  /** Announces keyed messages concurrently, so that they travel in one call. Replies are in the order of the commands. */
  async #announceOnce(connection, { channel, messages }) {
    const outcomes = messages.map(({ key, message }) => this.#outcome(connection, key, channel, message));
    for (const outcome of await Promise.all(outcomes)) {
      if (typeof outcome === "string") this.#send(connection, outcome);
      else this.refuse(connection, outcome);
    }
    if (connection.channels.has(channel)) this.#parts.connections.markCounted(connection, channel);
  }
  /** Returns the reply to one keyed announcement, or its refusal. */
  async #outcome({ grants }, key, channel, message) {
    try {
      checkAnnounce(grants, channel);
      if (!hasHistory(this.#parts.limits, channel)) throw new CommandError("no-history", NO_HISTORY);
      return formatOnce(key, await this.#positionOf(key, channel, formatMessage(channel, message)));
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      return { code: error.code, command: "once", argument: key, why: error.message };
    }
  }
  async #positionOf(key, channel, line) {
    const most = this.#parts.limits.historyBytes;
    if (!canDeduplicate(key, line, most)) throw new CommandError("limit", keyedTooLong(most));
    const announced = this.#parts.router.announceOnce(channel, key, line);
    if (announced === void 0) throw new CommandError("conflict", KEY_CONFLICT);
    if (announced instanceof Promise) return announced.catch(failToAnnounce);
    await this.#parts.schedule.flushed;
    return announced.last;
  }
  #subscribe(connection, channel, from) {
    this.#checkSubscribe(connection, channel);
    if (from) return this.#subscribeFrom(connection, channel, from);
    if (!this.#parts.router.isLive(channel)) return this.#joinAndSubscribe(connection, channel);
    this.#parts.lifecycle.subscribe(connection, channel);
    return void 0;
  }
  async #subscribeFrom(connection, channel, from) {
    try {
      await this.#resume.subscribe(connection, channel, from);
    } finally {
      if (!connection.channels.has(channel)) this.#parts.router.leaveIfUnneeded(channel);
    }
  }
  #checkSubscribe(connection, channel) {
    const { grants, channels: channels2 } = connection;
    const { connections, limits } = this.#parts;
    const most = limits.maxChannelsPerConnection;
    if (!maySubscribe(grants, channel)) throw new CommandError("forbidden", notGranted("subscribe", channel));
    if (channels2.has(channel)) return;
    if (channels2.size >= most) throw new CommandError("limit", tooManyChannels(most));
    if (connections.subscriptions.isFull) {
      throw new CommandError("unavailable", "this object has no memory for more subscriptions; connect again");
    }
    if (!connections.canSubscribe(connection, channel)) {
      throw new CommandError("limit", "the names of this connection's channels are too long together");
    }
  }
  async #joinAndSubscribe(connection, channel) {
    const { router, lifecycle } = this.#parts;
    try {
      while (!router.isLive(channel)) await router.upstream.join(channel);
    } catch (error) {
      const why = error instanceof Unreachable ? error.message : "subscribing failed";
      throw new CommandError("unavailable", `${why}; try again`);
    }
    if (connection.closed) router.leaveIfUnneeded(channel);
    else lifecycle.subscribe(connection, channel);
  }
  #enter(connection, channel, { member, data }) {
    const { grants } = connection;
    if (!mayEnter(grants, channel)) throw new CommandError("forbidden", notGranted("enter", channel));
    if (!mayEnterAs(grants, member)) throw new CommandError("forbidden", notSubject(grants?.sub ?? ""));
    return this.#parts.presence.enter(connection, channel, { member, data });
  }
  /** Sends the members of a channel, which count as missed messages. */
  async #members(connection, channel) {
    if (!maySubscribe(connection.grants, presenceOf(channel))) {
      throw new CommandError("forbidden", notGranted("subscribe", channel));
    }
    this.#parts.presence.checkRate(connection);
    chargeMissed(connection, 0, this.#parts.runtime.now(), 1);
    const answer = await this.#parts.presence.members(channel).catch(() => {
      throw new CommandError("unavailable", "the members of this channel can't be reached now; try again");
    });
    if ("none" in answer) throw new CommandError("no-history", NO_PRESENCE);
    const { position, members } = answer;
    const lines = this.#linesOf(members, channel);
    chargeMissed(connection, lines.length, this.#parts.runtime.now());
    this.#send(connection, formatMembers(channel, position, members.length) + lines);
    this.#parts.drain.flushIfLarge();
  }
  /** Formats a list once for all connections that wait for it: their copies could exhaust the object's memory. */
  #linesOf(members, channel) {
    const lines = this.#lists.get(members) ?? members.map((member) => formatMemberOf(channel, member)).join("");
    this.#lists.set(members, lines);
    return lines;
  }
  /** Requires the same permission as `GET /-/info`. */
  async #info(connection) {
    if (!mayOperate(connection.grants)) throw new CommandError("forbidden", NOT_OPERATOR);
    const lines = await this.#parts.reporter.info().catch(() => {
      throw new CommandError("unavailable", "the root of `all` doesn't answer; try again");
    });
    this.#send(connection, lines);
  }
};
function checkAnnounce(grants, channel) {
  if (subjectOf(channel) !== void 0) throw new CommandError("forbidden", SERVER_ANNOUNCES);
  if (mayAnnounce(grants, channel)) return;
  throw new CommandError("forbidden", notGranted("announce", channel));
}
function failToAnnounce(error) {
  const { code, why } = announceFault(error);
  throw new CommandError(code, why);
}

// src/session/attachment.ts
var MOST_BYTES = 16384;
var STRUCTURE = 200;
var MOST_OWN_BYTES = 15e3;
function attachmentOf({ channels: channels2, counted, grants, entered }) {
  const attachment = { channels: [...channels2].filter((channel) => !counted.has(channel)) };
  if (counted.size > 0) attachment.counted = [...counted];
  if (grants) attachment.grants = grants;
  if (entered.size > 0) {
    attachment.entered = [...entered].map(([channel, { member, data, at }]) => [channel, member, data, at]);
  }
  return attachment;
}
var isAttachment = shape({
  channels: isNames,
  counted: optional(isNames),
  grants: optional(isGrants),
  entered: optional(areEntered),
  kept: optional(isRecord)
});
function areEntered(value) {
  const isEntered = (each) => Array.isArray(each) && isString(each[0]) && isString(each[1]) && isString(each[2]) && isNumber(each[3]);
  return Array.isArray(value) && value.every(isEntered);
}
function closeUnreadable(socket) {
  socket.serializeAttachment(null);
  socket.close(TRY_AGAIN, formatReason({ code: "unavailable", why: "its state can't be read; connect again" }));
}
function fitsItself(bytes) {
  return bytes <= MOST_OWN_BYTES;
}
function fitsBeside(bytes, kept) {
  return STRUCTURE + bytes + sizeOf3(kept) <= MOST_BYTES;
}
function sizeOf3(value) {
  if (typeof value === "string") return 8 + value.length * (isLongerThan(value, value.length) ? 2 : 1);
  if (typeof value !== "object" || value === null) return 9;
  let bytes = 16;
  for (const [key, part] of Object.entries(value)) bytes += (Array.isArray(value) ? 0 : sizeOf3(key)) + sizeOf3(part);
  return bytes;
}

// src/session/attachments.ts
var DROPPED_FIRST = ["others", "counted"];
var Attachments = class {
  #connections;
  /** Connections whose attachments the runtime has rejected. */
  #rejected = [];
  /** Connections whose attachments are out of date. */
  #changed = /* @__PURE__ */ new Set();
  #kept;
  /** @param connections all connections of the object */
  constructor(connections) {
    this.#connections = connections;
  }
  /** Removes and returns the rejected connections. */
  takeRejected() {
    return this.#rejected.length === 0 ? this.#rejected : this.#rejected.splice(0);
  }
  /** State of the whole object. */
  get kept() {
    return this.#kept?.value;
  }
  /** Reads an attachment written before hibernation. */
  restore(holder, { kept }) {
    if (kept) this.#kept = { value: { ...kept }, holder };
  }
  /** Has the next `write` include a connection. */
  change(connection) {
    this.#changed.add(connection);
  }
  /** Writes the attachments that have changed. Call this before clients learn of the changes. */
  write() {
    if (this.#changed.size === 0) return;
    const before = this.#kept;
    if (before && !fitsBeside(before.holder.size, before.value)) this.#place(before.value);
    if (this.#kept && this.#kept !== before) this.#changed.add(this.#kept.holder);
    const changed = this.#changed;
    this.#changed = /* @__PURE__ */ new Set();
    for (const connection of changed) this.#attach(connection);
  }
  /** Cancels writing the attachment of a closed connection. */
  remove(connection) {
    this.#changed.delete(connection);
  }
  /**
   * Adds properties to the state of the whole object, and writes it at once.
   * @returns whether a socket has room for them
   */
  keep(some) {
    const before = this.#kept?.holder;
    this.#place({ ...this.#kept?.value, ...some });
    const kept = this.#kept;
    if (before && before !== kept?.holder && !before.closed) this.#attach(before);
    if (kept) this.#attach(kept.holder);
    return kept !== void 0 && Object.keys(some).every((key) => key in kept.value);
  }
  /** Finds a connection with room for the state of the whole object, or for as much of it as possible. */
  #place(value) {
    const left = { ...value };
    for (const dropped of ["", ...DROPPED_FIRST]) {
      delete left[dropped];
      const holder = this.#withRoomFor(left);
      if (holder) {
        this.#kept = { value: left, holder };
        return;
      }
    }
    this.#kept = void 0;
  }
  /** Returns a connection with room for `value`, preferably the one that has it already. */
  #withRoomFor(value) {
    const before = this.#kept?.holder;
    if (before && !before.closed && fitsBeside(before.size, value)) return before;
    for (const connection of this.#connections) {
      if (fitsBeside(connection.size, value)) return connection;
    }
    return void 0;
  }
  #attach(connection) {
    const { socket } = connection;
    const own = attachmentOf(connection);
    const kept = this.#kept?.holder === connection ? this.#kept.value : void 0;
    if (kept && tryWrite(socket, { ...own, kept })) return;
    if (kept) this.#kept = void 0;
    if (!tryWrite(socket, own)) this.#rejected.push(connection);
  }
};
function tryWrite(socket, attachment) {
  try {
    socket.serializeAttachment(attachment);
    return true;
  } catch {
    return false;
  }
}

// src/session/connection.ts
var EMPTY_BATCH = {};
var Connection = class {
  socket;
  output;
  /** Permissions from its token; undefined on a server without tokens. */
  grants;
  channels = /* @__PURE__ */ new Set();
  /** Channels in which the client counts positions, starting from one that the server has sent. */
  counted = /* @__PURE__ */ new Set();
  /** As whom it has entered which channel. */
  entered = /* @__PURE__ */ new Map();
  /** Bytes of its channels, members and grants in its attachment. */
  size;
  /** Lines for its next frame. */
  buffered = "";
  /** Stands for these lines: connections with the same object have the same lines buffered. */
  batch = EMPTY_BATCH;
  /** Limits the lines that are executed. */
  lineRate = newBucket();
  /** Limits the lines that are refused because of `lineRate`. */
  excessRate = newBucket();
  /** Limits the characters of missed messages. */
  missedRate = newBucket();
  /** Limits how often it enters and leaves channels. */
  presenceRate = newBucket();
  /** Limits the tokens that are verified. */
  tokenRate = newBucket();
  /** Whether it counts against the limit on connections of the whole service, if there is one. */
  admitted = false;
  closed = false;
  constructor(socket, output, grants) {
    this.socket = socket;
    this.output = output;
    this.grants = grants;
    this.size = sizeOf3(grants);
  }
};

// src/session/line-buffer.ts
var SEGMENT_OVERHEAD = 100;
var LineBuffer = class {
  #segments = [];
  #channels = /* @__PURE__ */ new Set();
  /** The newest segment, unless a subscriber's copy includes it. */
  #open;
  /** How many segments the copies of subscribers include. */
  #copied = /* @__PURE__ */ new Map();
  /** The lines that a subscriber took last: most of those that take lines take the same. */
  #taken;
  #size = 0;
  /** Memory of the lines, in bytes, if all of them are Latin-1. */
  get size() {
    return this.#size;
  }
  /** Channels with buffered lines. */
  get channels() {
    return this.#channels;
  }
  /** Subscribers that have called `take` since the last `end`. There may be more lines for them. */
  get takers() {
    return [...this.#copied.keys()];
  }
  /** Appends lines for all subscribers of `channel`. */
  append(channel, lines) {
    this.#size += lines.length;
    if (this.#open?.channel === channel) {
      this.#open.lines += lines;
      return;
    }
    this.#size += SEGMENT_OVERHEAD;
    this.#channels.add(channel);
    this.#open = { channel, lines };
    this.#segments.push(this.#open);
  }
  /** Returns the lines for `subscriber` since its last `take`. */
  take(subscriber) {
    const from = this.#copied.get(subscriber) ?? 0;
    if (from === this.#segments.length) return "";
    this.#open = void 0;
    this.#copied.set(subscriber, this.#segments.length);
    return this.#linesFrom(from, subscriber.channels);
  }
  /** Returns the lines from a segment on, without joining them again for each subscriber of the same channels. */
  #linesFrom(from, channels2) {
    const to = this.#segments.length;
    const of = [...this.#channels].filter((channel) => channels2.has(channel));
    const known = this.#taken;
    if (known?.from === from && known.to === to && isSame(known.channels, of)) return known.lines;
    const lines = linesOf(this.#segments, channels2, from);
    this.#taken = { from, to, channels: of, lines };
    return lines;
  }
  /** Removes a subscriber that has left its channels. */
  remove(subscriber) {
    this.#copied.delete(subscriber);
  }
  /** Empties the buffer, and returns the lines for subscribers that haven't called `take`. */
  end(subscribersOf) {
    const [segments, channels2, copied] = [this.#segments, this.#channels, this.#copied];
    this.#segments = [];
    this.#channels = /* @__PURE__ */ new Set();
    this.#open = void 0;
    this.#copied = /* @__PURE__ */ new Map();
    this.#taken = void 0;
    this.#size = 0;
    const [first, ...others] = channels2;
    if (first === void 0) return [];
    if (others.length > 0) return shareByGroup(segments, groupsOf(channels2, subscribersOf, copied));
    const all = subscribersOf(first);
    const subscribers = copied.size === 0 ? all : [...all].filter((each) => !copied.has(each));
    return [{ subscribers, lines: linesOf(segments, channels2) }];
  }
};
function isSame(some, others) {
  return some.length === others.length && some.every((each, i) => each === others[i]);
}
function linesOf(segments, channels2, from = 0) {
  let lines = "";
  for (let i = from; i < segments.length; i++) {
    const segment = segments[i];
    if (segment && channels2.has(segment.channel)) lines += segment.lines;
  }
  return lines;
}
function groupsOf(channels2, subscribersOf, copied) {
  const root = newGroup("", void 0);
  const groups = /* @__PURE__ */ new Map();
  for (const channel of channels2) {
    for (const subscriber of subscribersOf(channel)) {
      if (copied.has(subscriber)) continue;
      const wider = groups.get(subscriber) ?? root;
      const group = wider.narrower.get(channel) ?? newGroup(channel, wider);
      wider.narrower.set(channel, group);
      groups.set(subscriber, group);
    }
  }
  for (const [subscriber, { subscribers }] of groups) subscribers.push(subscriber);
  return new Set(groups.values());
}
function newGroup(channel, wider) {
  return { channel, wider, narrower: /* @__PURE__ */ new Map(), subscribers: [] };
}
function* shareByGroup(segments, groups) {
  for (const group of groups) {
    const channels2 = /* @__PURE__ */ new Set();
    for (let at = group; at; at = at.wider) channels2.add(at.channel);
    yield { subscribers: group.subscribers, lines: linesOf(segments, channels2) };
  }
}

// src/session/socket-output.ts
var FRAME_OVERHEAD2 = 1300;
var READING_SPEED = 4e5;
var SocketOutput = class {
  #socket;
  #now;
  /** The total that counts this output, and its share in bytes. */
  #total;
  #share = 0;
  /** Frames and characters sent since nothing was pending. */
  #frames = 0;
  #characters = 0;
  #wasRead = false;
  /** Bytes pending at a time, in milliseconds since 1970, where only an estimate is possible. */
  #estimate = { bytes: 0, at: 0 };
  constructor(socket, now, total) {
    this.#socket = socket;
    this.#now = now;
    this.#total = total;
  }
  /** Moves the share of this output to another total, or to none. */
  moveTo(total) {
    if (this.#total) this.#total.bytes -= this.#share;
    if (total) total.bytes += this.#share;
    this.#total = total;
  }
  send(frames) {
    try {
      for (const frame of frames) {
        this.#socket.send(frame);
        this.#frames += 1;
        this.#characters += frame.length;
        this.#estimate.bytes += frame.length;
        this.#setShare(this.#share + frame.length + FRAME_OVERHEAD2);
      }
    } catch {
    }
  }
  /**
   * Memory used by pending frames, in bytes. The runtime doesn't report how many frames are pending, so they are
   * assumed to have the average length of those sent since nothing was pending.
   */
  get weight() {
    const weight = this.#weigh();
    this.#setShare(weight);
    return weight;
  }
  #setShare(bytes) {
    if (this.#total) this.#total.bytes += bytes - this.#share;
    this.#share = bytes;
  }
  #weigh() {
    const pending = this.#socket.bufferedAmount ?? this.#estimatePending();
    this.#wasRead ||= this.#hasReadSome(pending);
    if (pending === 0) this.#frames = this.#characters = 0;
    if (this.#frames === 0) return pending;
    return pending + FRAME_OVERHEAD2 * this.#frames * Math.min(1, pending / this.#characters);
  }
  #estimatePending() {
    const now = this.#now();
    const read = Math.max(0, now - this.#estimate.at) * READING_SPEED / 1e3;
    this.#estimate = { bytes: Math.max(0, this.#estimate.bytes - read), at: now };
    return this.#estimate.bytes;
  }
  /** Whether the client has read anything yet; assumed where the runtime has no `bufferedAmount`. */
  get hasBeenRead() {
    return this.#wasRead || this.#hasReadSome(this.#socket.bufferedAmount);
  }
  #hasReadSome(pending) {
    return this.#characters > 0 && (pending === void 0 || pending < this.#characters);
  }
};

// src/session/send-budget.ts
var SendBudget = class {
  #limits;
  #now;
  /** Pending output of connections, and of closed sockets, whose clients may never read it. */
  #open = { bytes: 0 };
  #closed = { bytes: 0 };
  /** Output of sockets that the server has closed, until their network connections end. */
  #closing = /* @__PURE__ */ new Map();
  /** Bytes sent, and how many of them have certainly left this object: a pending commit holds back the rest. */
  sent = 0;
  #confirmed = 0;
  constructor(limits, now) {
    this.#limits = limits;
    this.#now = now;
  }
  /** Pending bytes of open connections. */
  get bytes() {
    return this.#open.bytes;
  }
  /** Records that the first `bytes` bytes sent have left this object. */
  confirm(bytes) {
    this.#confirmed = Math.max(this.#confirmed, bytes);
  }
  /** Whether unconfirmed bytes use up half of the budget, so that a commit should be awaited to confirm them. */
  get needsConfirmation() {
    return this.sent - this.#confirmed > this.#limits.maxPendingBytes / 2;
  }
  /** Whether closed sockets use so much of the budget that new connections should go to another object. */
  get isCrowded() {
    return this.#closed.bytes > this.#limits.maxPendingBytes / 2;
  }
  /** Whether closed sockets use the whole budget. */
  get isExhausted() {
    return this.#closed.bytes >= this.#limits.maxPendingBytes;
  }
  newOutput(socket) {
    return new SocketOutput(socket, this.#now, this.#open);
  }
  send(output, frames) {
    output.send(frames);
    for (const frame of frames) this.sent += frame.length;
  }
  /** Counts the output of a socket that the server has closed, until `socketClosed`. */
  addClosing(socket, output) {
    output.moveTo(this.#closed);
    this.#closing.set(socket, output);
  }
  /** Stops counting the output of a socket whose network connection has ended. */
  socketClosed(socket) {
    this.#closing.get(socket)?.moveTo(void 0);
    this.#closing.delete(socket);
  }
  /** Whether a client is a slow consumer: it has more pending output than one client may have. */
  isSlow(output) {
    return output.weight > this.#limits.maxBufferedBytes;
  }
  /**
   * Whether pending output is within a part of the budget for this number of connections. Unconfirmed bytes count too, because
   * a runtime may leave what a commit holds back out of `bufferedAmount`.
   */
  hasRoom(connections, part = 1) {
    if (this.sent - this.#confirmed > part * this.#limits.maxPendingBytes) return false;
    return this.#open.bytes <= part * this.budgetFor(connections);
  }
  /** Whether there is room for the last lines of a connection, which stay pending after it is closed. */
  hasRoomForLast(output) {
    return !this.isSlow(output) && this.#open.bytes + this.#closed.bytes <= this.#limits.maxPendingBytes;
  }
  /** Whether at most half of the budget is in use, after weighing the output of closed sockets again. */
  hasDrained(connections) {
    for (const output of this.#closing.values()) void output.weight;
    return this.hasRoom(connections, 1 / 2);
  }
  /**
   * Returns the bytes that may be pending for this number of connections: the rest of the budget after closed sockets, at least
   * a quarter. Few connections get half of their own limits, so that a flood stops before all of them seem slow.
   */
  budgetFor(connections) {
    const { maxPendingBytes, maxBufferedBytes } = this.#limits;
    const left = Math.max(maxPendingBytes - this.#closed.bytes, maxPendingBytes / 4);
    return Math.min(left, connections * maxBufferedBytes / 2);
  }
};

// src/session/subscriptions.ts
var MAX_MEMORY2 = 32e6;
var SUBSCRIPTION = 100;
var FIRST_SUBSCRIPTION = 400;
var NONE = /* @__PURE__ */ new Set();
var Subscriptions = class {
  #byChannel = /* @__PURE__ */ new Map();
  count = 0;
  #memory = 0;
  /** The channels that have subscribers. */
  get channels() {
    return this.#byChannel.keys();
  }
  /** Whether there is no memory for one more subscription. */
  get isFull() {
    return this.#memory > MAX_MEMORY2;
  }
  /** Whether memory is so short that new connections should go to another object. */
  get isCrowded() {
    return this.#memory > MAX_MEMORY2 * 0.75;
  }
  /** Returns the subscribers of `channel`, as a live set. */
  of(channel) {
    return this.#byChannel.get(channel) ?? NONE;
  }
  add(subscriber, channel) {
    const subscribers = this.#byChannel.get(channel) ?? /* @__PURE__ */ new Set();
    if (subscribers.size === 0) this.#byChannel.set(channel, subscribers);
    this.#memory += memoryOf(channel, subscribers.size);
    this.count += 1;
    subscriber.channels.add(channel);
    subscribers.add(subscriber);
  }
  remove(subscriber, channel) {
    const subscribers = this.#byChannel.get(channel);
    subscriber.channels.delete(channel);
    if (!subscribers?.delete(subscriber)) return;
    this.count -= 1;
    this.#memory -= memoryOf(channel, subscribers.size);
    if (subscribers.size === 0) this.#byChannel.delete(channel);
  }
};
function memoryOf(channel, others) {
  return SUBSCRIPTION + channel.length + (others === 0 ? FIRST_SUBSCRIPTION + channel.length : 0);
}

// src/session/connections.ts
var MIN_PORTION = 16384;
var MAX_PORTION = 25e4;
var Connections = class {
  #sockets;
  #schedule;
  #limits;
  #bySocket = /* @__PURE__ */ new Map();
  subscriptions = new Subscriptions();
  #attachments;
  /** Published lines, not yet copied to each subscriber. */
  #published = new LineBuffer();
  /** Connections with lines buffered for them alone. */
  #unflushed = /* @__PURE__ */ new Set();
  /** Those of them that the last flush had no room for. */
  #blocked = /* @__PURE__ */ new Set();
  /** The newest lines that were appended to a batch, and the batch that they form. */
  #joined;
  /** Characters buffered for single connections since the last flush. */
  #unshared = 0;
  /** Characters that the next flush sends, to all connections together. */
  #outgoing = 0;
  budget;
  /** Whether connections hibernated with this object. */
  hasSlept = false;
  constructor(sockets, limits, now, schedule) {
    this.#sockets = sockets;
    this.#limits = limits;
    this.budget = new SendBudget(limits, now);
    this.#schedule = schedule;
    this.#attachments = new Attachments(this);
  }
  /** Restores the connections that hibernated with this object. */
  start() {
    for (const socket of this.#sockets.getWebSockets()) {
      const attached = socket.deserializeAttachment();
      if (!isAttachment(attached)) {
        if (attached) closeUnreadable(socket);
        continue;
      }
      const connection = this.#add(socket, attached.grants);
      connection.admitted = true;
      this.#attachments.restore(connection, attached);
      for (const channel of attached.channels) this.#index(connection, channel);
      for (const channel of attached.counted ?? []) this.#index(connection, channel, true);
      for (const [channel, member, data, at] of attached.entered ?? [])
        this.#setEntered(connection, channel, { member, data, at });
    }
    this.hasSlept = this.#bySocket.size > 0;
  }
  /** How many connections there are. */
  get size() {
    return this.#bySocket.size;
  }
  [Symbol.iterator]() {
    return this.#bySocket.values();
  }
  /** Whether memory is so short that new connections should go to another object. */
  get isCrowded() {
    return this.subscriptions.isCrowded || this.budget.isCrowded;
  }
  /** Returns the number of subscribers of `channel` here. */
  subscribers(channel) {
    return this.subscriptions.of(channel).size;
  }
  /** Returns the connection of a socket; undefined once it has been removed. */
  of(socket) {
    return this.#bySocket.get(socket);
  }
  /** State of the whole object, restored from an attachment. */
  get kept() {
    return this.#attachments.kept;
  }
  /**
   * Persists properties of the whole object in the attachment of one socket, so that they survive hibernation.
   * @returns whether a socket has room for them
   */
  keep(some) {
    return this.#attachments.keep(some);
  }
  /** Adds a new socket, without subscriptions. */
  accept(socket, grants) {
    this.#sockets.acceptWebSocket(socket);
    const connection = this.#add(socket, grants);
    this.#attachments.change(connection);
    this.#attachments.write();
    return connection;
  }
  /** Whether another channel fits into a connection's attachment. */
  canSubscribe({ size }, channel) {
    return fitsItself(size + sizeOf3(channel));
  }
  /** Whether other grants fit into a connection's attachment, beside its channels. */
  canGrant({ size, grants }, others) {
    return fitsItself(size - sizeOf3(grants) + sizeOf3(others));
  }
  /** Whether entering a channel fits into a connection's attachment. */
  canEnter({ size, entered }, channel, member) {
    return fitsItself(size - sizeOfEntered(channel, entered.get(channel)) + sizeOfEntered(channel, member));
  }
  /** Records as whom a connection is present in a channel; undefined for no longer. */
  setEntered(connection, channel, member) {
    this.#setEntered(connection, channel, member);
    this.#change(connection);
  }
  /** Replaces the grants of `connection`. */
  grant(connection, grants) {
    connection.size += sizeOf3(grants) - sizeOf3(connection.grants);
    connection.grants = grants;
    this.#change(connection);
  }
  /** @param isCounted whether the server has sent the client its position */
  subscribe(connection, channel, isCounted = false) {
    assert(!connection.channels.has(channel), "a connection subscribes to a channel only once");
    this.#copyShared(connection);
    this.#index(connection, channel, isCounted);
    this.#change(connection);
  }
  /** Records that the server has sent a subscriber its position in a channel. */
  markCounted(connection, channel) {
    if (connection.counted.has(channel)) return;
    connection.counted.add(channel);
    this.#change(connection);
  }
  /** Whether any subscriber of a channel counts positions. */
  isCounted(channel) {
    for (const { counted } of this.subscriptions.of(channel)) if (counted.has(channel)) return true;
    return false;
  }
  /** Inserts a line before the newest `count` buffered messages of a channel, for each subscriber that counts positions. */
  insert(channel, line, count2) {
    const counting = [...this.subscriptions.of(channel)].filter(({ counted }) => counted.has(channel));
    for (const connection of counting) {
      this.send(connection, line);
      const before = connection.buffered.slice(0, -line.length);
      connection.buffered = insertLine(before, line, `${channel}!`, count2);
      connection.batch = {};
    }
  }
  unsubscribe(connection, channel) {
    assert(connection.channels.has(channel), "a connection unsubscribes only from its channels");
    this.#copyShared(connection);
    this.#unindex(connection, channel);
    this.#change(connection);
  }
  /** Removes `connection` and its subscriptions. */
  remove(connection) {
    for (const channel of connection.channels) this.#unindex(connection, channel);
    connection.closed = true;
    connection.output.moveTo(void 0);
    this.#bySocket.delete(connection.socket);
    this.#unflushed.delete(connection);
    this.#published.remove(connection);
    this.#attachments.remove(connection);
  }
  /** Closes and removes `connection`. Sends its buffered lines first if the budget allows, as many may close at once. */
  close(connection, code, reason) {
    this.#copyShared(connection);
    if (this.budget.hasRoomForLast(connection.output)) this.#sendBuffered(connection);
    this.remove(connection);
    this.budget.addClosing(connection.socket, connection.output);
    connection.socket.serializeAttachment(null);
    try {
      connection.socket.close(code, reason);
    } catch {
    }
  }
  /** Discards the buffered lines of `connection`. */
  discardBuffered(connection) {
    this.#published.take(connection);
    this.#unflushed.delete(connection);
    connection.buffered = "";
    connection.batch = EMPTY_BATCH;
  }
  /** Buffers a line for one connection. */
  send(connection, line) {
    if (connection.closed) return;
    this.#copyShared(connection);
    this.#append(connection, line);
    this.#schedule.flush();
  }
  /** Buffers lines for all subscribers of `channel`. */
  publish(channel, lines) {
    const subscribers = this.subscribers(channel);
    if (subscribers === 0) return;
    this.#outgoing += lines.length * subscribers;
    this.#published.append(channel, lines);
    this.#schedule.flush();
  }
  /** Returns the best size of one step's messages, in characters: all of its copies use at most half of the send budget. */
  portionSize(channel) {
    const fitting = this.#limits.maxPendingBytes / 2 / Math.max(1, this.subscribers(channel));
    return Math.min(MAX_PORTION, Math.max(MIN_PORTION, fitting));
  }
  /** Memory of the lines buffered since the last flush, in characters: published lines count once. */
  get bufferedSize() {
    return this.#published.size + this.#unshared;
  }
  /**
   * Whether to flush early: the buffered lines exceed a quarter of one client's limit, and a flood would look like slow
   * consumers; or the next flush would use more than half of the send budget.
   */
  get shouldFlush() {
    if (this.bufferedSize > this.#limits.maxBufferedBytes / 4) return true;
    return this.#outgoing > this.#limits.maxPendingBytes / 2 && this.bufferedSize > MIN_PORTION;
  }
  /** How many sockets have buffered lines, at most. */
  get due() {
    let due = this.#unflushed.size;
    for (const channel of this.#published.channels) due += this.subscribers(channel);
    return due;
  }
  /** Whether the last flush had no room for some connections. */
  get isBlocked() {
    return this.#blocked.size > 0;
  }
  /**
   * Writes the attachments that have changed, before clients learn of the changes.
   * @returns connections whose attachments the runtime rejected, so that they wouldn't survive hibernation
   */
  writeAttachments() {
    this.#attachments.write();
    return this.#attachments.takeRejected();
  }
  /**
   * Sends buffered lines within the send budget; the rest stays buffered. Connections that were blocked before come last,
   * those with the fewest buffered lines first: the others have read what the server sent them.
   */
  flush() {
    this.#attachments.write();
    for (const connection of this.#unflushed) this.#copyShared(connection);
    for (const connection of this.#published.takers) this.#copyShared(connection);
    this.#unshared = this.#outgoing = 0;
    const unflushed = [...this.#unflushed];
    const blocked = unflushed.filter((connection) => this.#blocked.has(connection));
    this.#unflushed = /* @__PURE__ */ new Set();
    for (const connection of unflushed) if (!this.#blocked.has(connection)) this.#sendOrBlock(connection);
    for (const { subscribers, lines } of this.#published.end((channel) => this.subscriptions.of(channel))) {
      this.#sendShared(subscribers, lines);
    }
    blocked.sort((a, b) => a.buffered.length - b.buffered.length);
    for (const connection of blocked) this.#sendOrBlock(connection);
    this.#blocked = new Set(this.#unflushed);
    this.#joined = void 0;
  }
  #sendOrBlock(connection) {
    if (this.#maySend(connection)) this.#sendBuffered(connection);
    else this.#unflushed.add(connection);
  }
  #sendShared(connections, lines) {
    const frames = framesOf(lines);
    const batch = {};
    for (const connection of connections) {
      if (this.#maySend(connection)) this.budget.send(connection.output, frames);
      else {
        connection.buffered = lines;
        connection.batch = batch;
        this.#unflushed.add(connection);
      }
    }
  }
  /** Copies published lines for `connection` to its own buffer. */
  #copyShared(connection) {
    const lines = this.#published.take(connection);
    if (lines !== "") this.#append(connection, lines);
  }
  #append(connection, lines) {
    if (connection.buffered === "") this.#unflushed.add(connection);
    this.#join(connection, lines);
    this.#unshared += lines.length;
    this.#outgoing += lines.length;
  }
  /** Appends lines to those of a connection, once for all connections that have the same batch and get the same lines. */
  #join(connection, lines) {
    let last = this.#joined;
    if (last?.from !== connection.batch || last.lines !== lines) {
      last = { from: connection.batch, lines, batch: {}, buffered: connection.buffered + lines };
      this.#joined = last;
    }
    connection.buffered = last.buffered;
    connection.batch = last.batch;
  }
  #maySend({ output }) {
    return !this.budget.isSlow(output) && this.budget.hasRoom(this.size);
  }
  /** Slow consumers with buffered lines. */
  get slow() {
    return [...this.#unflushed].filter(({ output }) => this.budget.isSlow(output));
  }
  /** Whether at most half of the send budget is in use, with all pending output weighed again. */
  hasDrained() {
    for (const { output } of this) void output.weight;
    return this.budget.hasDrained(this.size);
  }
  /**
   * The connections with the most pending output, as many as must close to bring pending output down to half of the
   * budget. Also all blocked connections, if closed sockets use up the whole budget.
   */
  get slowest() {
    const weighed = [...this].map((connection) => ({ connection, weight: connection.output.weight }));
    weighed.sort((a, b) => b.weight - a.weight);
    const slowest = new Set(this.budget.isExhausted ? this.#unflushed : []);
    let left = this.budget.bytes;
    for (const { connection, weight } of weighed) {
      if (left <= this.budget.budgetFor(this.size) / 2) break;
      slowest.add(connection);
      left -= weight;
    }
    return [...slowest];
  }
  #sendBuffered(connection) {
    const frames = framesOf(connection.buffered);
    connection.buffered = "";
    connection.batch = EMPTY_BATCH;
    this.budget.send(connection.output, frames);
  }
  #add(socket, grants) {
    const connection = new Connection(socket, this.budget.newOutput(socket), grants);
    this.#bySocket.set(socket, connection);
    return connection;
  }
  #index(connection, channel, isCounted = false) {
    connection.size += sizeOf3(channel);
    if (isCounted) connection.counted.add(channel);
    this.subscriptions.add(connection, channel);
  }
  #setEntered(connection, channel, member) {
    connection.size += sizeOfEntered(channel, member) - sizeOfEntered(channel, connection.entered.get(channel));
    if (member) connection.entered.set(channel, member);
    else connection.entered.delete(channel);
  }
  #unindex(connection, channel) {
    connection.size -= sizeOf3(channel);
    connection.counted.delete(channel);
    this.subscriptions.remove(connection, channel);
  }
  /** Has the next flush write a connection's attachment, before the client learns of the change. */
  #change(connection) {
    this.#attachments.change(connection);
    this.#schedule.flush();
  }
};
function sizeOfEntered(channel, entered) {
  return entered ? sizeOf3([channel, entered.member, entered.data, 0]) : 0;
}

// src/session/commits.ts
var MAX_COMMIT = 1e4;
async function whenReadable({ store, within, sleep, now }, isOver) {
  const began = now();
  let isDurable = false;
  const commit = store.sync().then(() => {
    isDurable = true;
  });
  await within(MAX_COMMIT, commit).catch(() => {
  });
  await sleepUntil({ sleep }, now() - began, isOver);
  return isDurable;
}
async function sleepUntil({ sleep }, milliseconds, isOver) {
  for (let waited = 0, wait = 1; waited < milliseconds && !isOver(); waited += wait, wait *= 2) await sleep(wait);
}

// src/session/drain.ts
var PATIENCE2 = 500;
var MAX_HOLD = 500;
var Drain = class {
  #parts;
  #room;
  #isConfirming = false;
  constructor(parts) {
    this.#parts = parts;
  }
  /** Sends buffered lines to clients and links, and returns whether clients had room for all of them. */
  send() {
    const isAll = this.flush();
    this.#parts.router.downstream.flush();
    return isAll;
  }
  /** Flushes early if many lines are buffered. Sending takes time, which slows a flood down. */
  flushIfLarge() {
    if (this.#parts.connections.shouldFlush) this.flush();
  }
  /**
   * Sends all buffered lines as clients read earlier ones. For up to about half a second the object receives no events,
   * so that publishers can't outrun subscribers. Closes slow consumers and, if clients don't read half of all pending
   * output in time, those with the most. Judges clients only after a commit, because output that it holds back counts as
   * pending.
   */
  makeRoom() {
    this.#room ??= this.#parts.runtime.hold(() => this.#drain()).finally(() => {
      this.#room = void 0;
    });
    return this.#room;
  }
  /**
   * Sends buffered lines within the send budget, then applies backpressure until the rest is sent.
   * @returns whether that was all
   */
  flush() {
    this.#send();
    const isAll = this.#parts.connections.due === 0;
    if (!isAll) void this.makeRoom();
    return isAll;
  }
  /** Closes expired connections and stores messages before anything is sent. */
  #send() {
    const { connections, lifecycle, tokens, router, presence } = this.#parts;
    tokens.closeExpired();
    presence.flush();
    router.channel.store();
    for (const connection of connections.writeAttachments()) {
      lifecycle.close(connection, "unkept", "the server can't store this connection's subscriptions; connect again");
    }
    connections.flush();
    void this.#confirm();
  }
  /** Waits for a commit if many bytes are unconfirmed. */
  async #confirm() {
    const { runtime, connections } = this.#parts;
    const { budget } = connections;
    if (this.#isConfirming || !budget.needsConfirmation) return;
    this.#isConfirming = true;
    const { sent } = budget;
    const commit = runtime.store.sync().then(() => budget.confirm(sent));
    await commit.catch(() => {
    });
    this.#isConfirming = false;
  }
  async #drain() {
    const { runtime, connections, lifecycle } = this.#parts;
    const { budget } = connections;
    const hasDrained = () => connections.hasDrained();
    const began = runtime.now();
    do {
      const { sent } = budget;
      const isDurable = await whenReadable(runtime, () => connections.slow.length === 0);
      if (isDurable) budget.confirm(sent);
      for (const connection of connections.slow) lifecycle.closeSlow(connection);
      await sleepUntil(runtime, PATIENCE2, hasDrained);
      for (const connection of hasDrained() ? [] : connections.slowest) lifecycle.closeSlow(connection);
      this.#send();
    } while (connections.isBlocked && runtime.now() < began + MAX_HOLD);
  }
};

// src/session/lifecycle.ts
var ROOT_GRACE = 2e3;
var GREETING_GRACE = 1e4;
var Lifecycle = class {
  #parts;
  /** When connections were greeted, until their clients have read the greeting. */
  #greeted = /* @__PURE__ */ new Map();
  constructor(parts) {
    this.#parts = parts;
  }
  /**
   * Admits a connection, subscribes it to this object's channel and `all`, and greets it.
   * @param resume subscribes it to the channel from a position, if its URL has one
   */
  async greet(connection, resume) {
    const { runtime, connections, router, counters, clientLimit } = this.#parts;
    if (clientLimit) await runtime.within(ROOT_GRACE, this.#admit(connection, clientLimit));
    if (connection.closed) return;
    counters.count("connections");
    counters.holds(connections.size);
    const joined = router.joinEveryone();
    if (joined) await runtime.within(ROOT_GRACE, joined);
    const channel = channelOf(runtime.name);
    try {
      while (!connection.closed && !router.isLive(channel)) await router.upstream.join(channel);
      if (connection.closed) router.leaveIfUnneeded(channel);
      else await this.#subscribeAndGreet(connection, channel, resume);
    } catch (error) {
      const why = error instanceof Unreachable ? error.message : "subscribing to the channel failed";
      this.close(connection, "unreachable", `${why}; connect again`);
    }
  }
  async #subscribeAndGreet(connection, channel, resume) {
    for (const each of /* @__PURE__ */ new Set([EVERYONE, channel])) {
      if (each !== channel || !resume) this.subscribe(connection, each);
    }
    this.#parts.connections.send(connection, GREETING);
    this.#greeted.set(connection, this.#parts.runtime.now());
    await resume?.(channel);
  }
  /**
   * Subscribes a connection to a channel that is live here, unless it is subscribed already.
   * @param isCounted whether the server has sent the client its position
   */
  subscribe(connection, channel, isCounted = false) {
    const { connections, counters } = this.#parts;
    if (connection.channels.has(channel)) {
      if (isCounted) connections.markCounted(connection, channel);
      return;
    }
    connections.subscribe(connection, channel, isCounted);
    counters.count("subscribes");
  }
  /** Ends a subscription, if there is one. */
  unsubscribe(connection, channel) {
    if (!connection.channels.has(channel)) return;
    const { connections, counters, router } = this.#parts;
    if (connection.counted.has(channel)) router.retainPosition(channel);
    connections.unsubscribe(connection, channel);
    counters.count("unsubscribes");
    router.leaveIfUnneeded(channel);
  }
  /** Closes a connection, with the close code and the error code of `cause`. */
  close(connection, cause, why) {
    if (connection.closed) return;
    const { connections, counters, router } = this.#parts;
    counters.note(`closes.${cause}`);
    router.channel.store();
    const { status, code } = CLOSINGS[cause];
    this.#end(connection, () => connections.close(connection, status, formatReason({ code, why })));
  }
  /** Closes all subscribers of a channel after its messages were lost. */
  lost(channel) {
    for (const connection of [...this.#parts.connections.subscriptions.of(channel)]) {
      this.close(connection, "lost", "messages may be missing; connect again");
    }
  }
  /** Closes a slow consumer. */
  closeSlow(connection) {
    this.#parts.connections.discardBuffered(connection);
    this.close(connection, "slow", "the client reads too slowly, so messages would be missing; connect again");
  }
  /** Handles the end of a socket's network connection. */
  socketClosed(socket) {
    const { connections, counters } = this.#parts;
    const connection = connections.of(socket);
    if (connection) {
      counters.note("closes.client");
      this.#end(connection, () => connections.remove(connection));
    } else connections.budget.socketClosed(socket);
  }
  /**
   * Closes connections whose clients don't read their greeting. The runtime doesn't report clients that disconnect during
   * the upgrade, so their connections would stay open forever.
   * @returns whether any greetings are still unread
   */
  closeUnread() {
    const { runtime } = this.#parts;
    const due = [];
    for (const [connection, since] of this.#greeted) {
      if (connection.closed || connection.output.hasBeenRead) this.#greeted.delete(connection);
      else if (runtime.now() - since >= GREETING_GRACE) due.push(connection);
    }
    if (due.length > 0) runtime.keep(this.#closeIfUnread(due));
    return this.#greeted.size > 0;
  }
  /** Closes them after the commit that may hold back their greetings. */
  async #closeIfUnread(greeted) {
    const unread = () => greeted.filter(({ output }) => !output.hasBeenRead);
    await whenReadable(this.#parts.runtime, () => unread().length === 0);
    for (const connection of unread()) {
      this.close(connection, "greeting", "the client didn't read the greeting; connect again");
    }
  }
  /** Admits a connection, or closes it if the service is full. */
  async #admit(connection, limit) {
    const admitted = await limit.admit();
    if (connection.closed && admitted) limit.release();
    if (connection.closed) return;
    connection.admitted = admitted;
    if (admitted) return;
    this.#parts.connections.send(connection, BUSY);
    this.close(connection, "busy", SERVICE_FULL);
  }
  /** Removes a connection, and what existed only for it. */
  #end(connection, end) {
    const { connections, counters, router, clientLimit, reporter, presence } = this.#parts;
    presence.end(connection);
    const channels2 = [...connection.channels];
    for (const channel of connection.counted) router.retainPosition(channel);
    end();
    counters.count("unsubscribes", channels2.length);
    for (const channel of channels2) router.leaveIfUnneeded(channel);
    router.leaveIfUnneeded(EVERYONE);
    if (connection.admitted) clientLimit?.release();
    if (connections.size === 0) reporter.emptied();
  }
};

// src/session/pace.ts
var Pace = class {
  #parts;
  /** Work since the object last received events, in microseconds or so. */
  #work = 0;
  #pause;
  constructor(parts) {
    this.#parts = parts;
  }
  /** Resets the work: the object receives a client's event, so it has received all earlier ones. */
  begin() {
    this.#work = 0;
  }
  /**
   * Counts the work of a step.
   * @param needsRoom whether the next step should wait until all published lines are sent
   * @returns a promise that resolves when the next step may run; undefined if that's now
   */
  after(work, needsRoom) {
    this.#work += work;
    const { connections, schedule, limits } = this.#parts;
    const room = needsRoom && connections.isBlocked ? schedule.flushed : void 0;
    if (room ?? this.#work >= limits.maxWork) this.#pause ??= this.#rest(room);
    return this.#pause;
  }
  async #rest(room) {
    await room;
    await this.admitEvents();
    this.#pause = void 0;
    this.#work = 0;
  }
  /**
   * Lets the object receive events. A timer makes the runtime look for them; otherwise it may run all ready promises
   * first. Until the timer fires it delivers none, and then one frame per client, so that a flood doesn't pile up here.
   */
  admitEvents() {
    return this.#parts.runtime.hold(() => this.#parts.runtime.sleep(0));
  }
};

// src/session/tokens.ts
var MAX_TOKENS = 10;
var OUTDATED = {
  outdated: ["outdated", "your token's key is no longer valid; connect again with a new token"],
  missing: ["unauthorized", "this server requires a token now; connect again with one"],
  needless: ["settings", "this server no longer requires tokens; connect again"]
};
var Tokens = class {
  #parts;
  constructor(parts) {
    this.#parts = parts;
  }
  /** Sets the alarm to the first expiry of any connection's grants. */
  start() {
    let first = Number.POSITIVE_INFINITY;
    for (const { grants } of this.#parts.connections) if (grants) first = Math.min(first, grants.until);
    this.#parts.alarm.expireAt(first);
  }
  /** Closes connections whose grants don't match the current settings, because they were admitted under earlier ones. */
  closeOutdated() {
    const { connections, guard, lifecycle, schedule } = this.#parts;
    for (const connection of [...connections]) {
      const fault = grantsFault(connection.grants, guard?.keys);
      if (!fault) continue;
      lifecycle.close(connection, ...OUTDATED[fault]);
      schedule.stay();
    }
  }
  /** Sets the alarm to the expiry of these grants, if they expire first. */
  watch({ until }) {
    if (until < this.#parts.alarm.expiry) this.#parts.alarm.expireAt(until);
  }
  hasExpired({ grants }) {
    return hasExpired(grants, this.#parts.runtime.now());
  }
  /**
   * Closes the connections whose grants have expired. Discards their buffered lines, which may be newer than that. This
   * only reads the clock while no grants can have expired.
   */
  closeExpired() {
    const { runtime, connections, alarm, lifecycle, schedule } = this.#parts;
    if (runtime.now() < alarm.expiry) return;
    for (const connection of [...connections]) {
      if (!this.hasExpired(connection)) continue;
      connections.discardBuffered(connection);
      lifecycle.close(connection, "expired", "your token has expired; connect again with a new one");
      schedule.stay();
    }
    this.start();
  }
  /**
   * Closes the connections of revoked tokens, and discards their buffered lines, which may be newer than that. Their
   * members leave at once.
   */
  closeRevoked(isRevoked) {
    const { connections, lifecycle, presence, schedule } = this.#parts;
    for (const connection of [...connections]) {
      if (!connection.grants || !isRevoked(connection.grants)) continue;
      presence.endWhere(connection, () => true);
      connections.discardBuffered(connection);
      lifecycle.close(connection, "revoked", REVOKED);
      schedule.stay();
    }
  }
  /**
   * Replaces the token of a connection, and confirms that to the client.
   * @throws CommandError if the token is invalid, or doesn't grant the connection's channels
   */
  async renew(connection, token) {
    if (take(connection.tokenRate, 1, MAX_TOKENS, this.#parts.runtime.now()) === 0) {
      throw new CommandError("rate", `more than ${MAX_TOKENS} tokens per second`);
    }
    const grants = await this.#granted(token);
    if (connection.closed) return;
    const denied = [...connection.channels].find((channel) => !maySubscribe(grants, channel));
    if (denied !== void 0) {
      throw new CommandError("forbidden", `the token doesn't grant '${denied}', to which you are subscribed`);
    }
    if (!this.#parts.connections.canGrant(connection, grants)) {
      throw new CommandError("limit", "the names of this connection's channels and grants are too long together");
    }
    this.#parts.connections.grant(connection, grants);
    const isDenied = (channel, member) => !mayEnter(grants, channel) || !mayEnterAs(grants, member);
    this.#parts.presence.endWhere(connection, isDenied);
    this.watch(grants);
    this.#parts.connections.send(connection, formatAccepted(grants.until));
  }
  async #granted(token) {
    const { guard, revokedTokens } = this.#parts;
    if (!guard) throw new CommandError("invalid", "this server needs no tokens");
    try {
      const grants = await guard.verify(token);
      if (grants.sub !== void 0) await revokedTokens.refresh();
      if (revokedTokens.isRevoked(grants)) throw new CommandError("revoked", REVOKED);
      return grants;
    } catch (error) {
      if (error instanceof TokenError) throw new CommandError(error.code, error.message);
      if (error instanceof NoKeys) throw new CommandError("unavailable", `${error.message}; try again`);
      throw error;
    }
  }
};

// src/stats/distinct.ts
var MAX_HASHES = 2048;
var RANGE = 2 ** 53;
function hashesOf(names, seed) {
  const hashes = Float64Array.from(names, (name) => hashOf(name, seed)).sort();
  return Array.from(new Set(hashes.subarray(0, MAX_HASHES)));
}
function mergeHashes(one, other) {
  const merged2 = [];
  for (let i = 0, j = 0; merged2.length < MAX_HASHES && (i < one.length || j < other.length); ) {
    const [a = RANGE, b = RANGE] = [one[i], other[j]];
    merged2.push(Math.min(a, b));
    if (a <= b) i += 1;
    if (b <= a) j += 1;
  }
  return merged2;
}
function countByHashes(hashes) {
  const largest = hashes[MAX_HASHES - 1];
  return largest === void 0 ? hashes.length : Math.round((MAX_HASHES - 1) * RANGE / largest);
}
function hashOf(name, seed) {
  let high = seed ^ 2654435769;
  let low = seed ^ 2246822507;
  for (let i = 0; i < name.length; i++) {
    const unit = name.charCodeAt(i);
    high = Math.imul(high ^ unit, 16777619);
    low = Math.imul(low ^ unit, 1540483477);
    low ^= low >>> 15;
  }
  high = mixed(high ^ name.length);
  low = mixed(low ^ high);
  high = mixed(high ^ low);
  return (high >>> 11) * 2 ** 32 + (low >>> 0);
}
function mixed(bits) {
  let hash = bits;
  hash = Math.imul(hash ^ hash >>> 16, 2246822507);
  hash = Math.imul(hash ^ hash >>> 13, 3266489909);
  return hash ^ hash >>> 16;
}

// src/stats/totals.ts
var COUNTERS = [
  "rejected",
  "connections",
  "announcements",
  "messages",
  "subscribes",
  "unsubscribes",
  "pings"
];
var FIGURES = ["peak", "connections", "subscriptions", "requested", "objects", "unreachable"];
function noTotals() {
  return { rejected: 0, connections: 0, announcements: 0, messages: 0, subscribes: 0, unsubscribes: 0, pings: 0 };
}
function isNothing(totals) {
  return Object.values({ ...totals, others: 0 }).every((total) => total === 0);
}
function isTotals(value) {
  return isRecord(value) && COUNTERS.every((counter) => isNumber(value[counter])) && optional(isTally)(value.others);
}
function sumOf(one, other) {
  const { others, ...sum } = one;
  for (const counter of COUNTERS) sum[counter] += other[counter];
  return others || other.others ? { ...sum, others: sumOfTallies(others, other.others) } : sum;
}
function sumOfFigures(own, linked, unreachable) {
  const all = { ...own, unreachable: own.unreachable + unreachable };
  for (const figures of linked) {
    all.totals = sumOf(all.totals, figures.totals);
    for (const figure of FIGURES) all[figure] += figures[figure];
    all.deepest = Math.max(all.deepest ?? 0, figures.deepest ?? 0);
    all.kept = (all.kept ?? 0) + (figures.kept ?? 0);
    all.members = (all.members ?? 0) + (figures.members ?? 0);
    all.channels = mergeHashes(all.channels, figures.channels);
  }
  return all;
}

// src/stats/counters.ts
var isCountedRow = shape({
  revision: isNumber,
  saved: optional(isNumber),
  totals: isTotals,
  peak: isNumber
});
var COUNTED = "counted";
var CALLS_PER_REPORT = 20;
var SAVE_INTERVAL = 6e4;
var Counters = class {
  #parts;
  #log;
  /** Events that only metrics show, by names known in advance: so no client can make their number grow. */
  #events = {};
  /** Whether events were counted since they were persisted. */
  #haveEventsChanged = false;
  /** Its totals don't include the event counters until it is written. */
  #row = { revision: 0, totals: noTotals(), peak: 0 };
  /** Whether totals have changed since they were persisted. */
  #changed = false;
  /** The persisted event counters. Only they are reported, so that a crash can't make metrics fall. */
  #persisted;
  /** @param log logs the events that operators look for */
  constructor(parts, log) {
    this.#parts = parts;
    this.#log = log;
  }
  /** Restores the counters from storage or a socket's attachment. */
  start() {
    const row = rowOf(this.#parts.runtime.store.get(COUNTED), isCountedRow);
    const attached = attachedTo(this.#parts.connections);
    this.#changed = attached !== void 0 && attached.revision > (row?.revision ?? 0);
    const restored = (this.#changed ? attached : row) ?? this.#row;
    const { others, ...totals } = restored.totals;
    this.#row = { ...restored, totals };
    this.#events = sumOfTallies(this.#events, others);
    this.#persisted = others;
  }
  /** Returns the counters for a report of the service, with `connections` sockets held. */
  figures(connections) {
    const { totals, peak } = this.#row;
    return { totals: { ...totals, others: this.#reported }, peak: Math.max(peak, connections) };
  }
  /** Adds to a counter that `info` shows. */
  count(counter, n = 1) {
    if (n === 0) return;
    this.#row.totals[counter] += n;
    this.#changed = true;
  }
  /**
   * Counts an event that only metrics show: no row is written for that alone.
   * @param details for the log
   */
  note(name, n = 1, details) {
    this.#events[name] = (this.#events[name] ?? 0) + n;
    this.#haveEventsChanged = true;
    this.#log(name, details);
  }
  /** Takes all counters, which begin again at zero; undefined if all are zero. */
  takeReport() {
    const { totals, peak } = this.#row;
    const others = this.#tally;
    if (isNothing(totals) && peak === 0 && others === void 0) return void 0;
    this.#row.totals = noTotals();
    this.#row.peak = 0;
    this.#events = {};
    this.#changed = this.#haveEventsChanged = false;
    this.#persisted = void 0;
    if (this.#parts.runtime.store.get(COUNTED) !== void 0) this.#parts.runtime.store.delete(COUNTED);
    return { totals: { ...totals, ...others && { others } }, peak };
  }
  /** The same for an object without connections; undefined if they aren't worth a call. */
  takeWorthwhile() {
    const haveMembersChanged = countIn(this.#events, "members.") > 0;
    const hasCalled = countIn(this.#events, "calls.") >= CALLS_PER_REPORT;
    const isWorthwhile = !isNothing(this.#row.totals) || haveMembersChanged || hasCalled;
    return isWorthwhile ? this.takeReport() : void 0;
  }
  /** Adds the counters of another object. */
  add(totals) {
    const { others, ...sum } = sumOf(this.#row.totals, totals);
    this.#row.totals = sum;
    this.#events = sumOfTallies(this.#events, others);
    this.#changed = true;
  }
  /** Notes that `connections` sockets are held. */
  holds(connections) {
    if (connections <= this.#row.peak) return;
    this.#row.peak = connections;
    this.#changed = true;
  }
  /** Returns the most sockets that were held at a time, and resets that. */
  takePeak() {
    const { peak } = this.#row;
    this.#row.peak = 0;
    if (peak > 0) this.#changed = true;
    return peak;
  }
  /** Stores the counters if they have changed and the interval is over. */
  save() {
    const { saved = 0 } = this.#row;
    if (this.#changed && this.#parts.runtime.now() >= saved + SAVE_INTERVAL) this.#write();
  }
  /** Has the counters outlive hibernation. */
  settle() {
    this.save();
    if (!this.#changed && !this.#haveEventsChanged) return;
    this.#row.revision += 1;
    if (!this.#parts.connections.keep({ counted: this.#row })) {
      if (this.#changed) this.#write();
    } else if (this.#parts.connections.keep({ others: { own: this.#tally } }))
      this.#persisted = this.#tally && { ...this.#tally };
  }
  /** The events to report. Refused rows are reported even if they aren't persisted, because storage may refuse that too. */
  get #reported() {
    const refused = this.#events["rows.refused"];
    return refused === void 0 ? this.#persisted : { ...this.#persisted, "rows.refused": refused };
  }
  /** The events; undefined if there were none. */
  get #tally() {
    return Object.keys(this.#events).length === 0 ? void 0 : this.#events;
  }
  /** Stores the counters, or deletes their row if all are zero. */
  #write() {
    this.#changed = this.#haveEventsChanged = false;
    this.#row.saved = this.#parts.runtime.now();
    this.#row.revision += 1;
    const totals = { ...this.#row.totals, others: this.#tally };
    if (isNothing(totals)) this.#parts.runtime.store.delete(COUNTED);
    else this.#parts.runtime.store.put(COUNTED, { ...this.#row, totals });
    this.#persisted = this.#tally && { ...this.#tally };
  }
};
function attachedTo({ kept }) {
  if (!isRecord(kept) || !isCountedRow(kept.counted)) return void 0;
  const others = isRecord(kept.others) && isTally(kept.others.own) ? kept.others.own : void 0;
  return { ...kept.counted, totals: { ...kept.counted.totals, others } };
}
function countIn(tally, prefix) {
  return Object.entries(tally).reduce((sum, [name, n]) => name.startsWith(prefix) ? sum + n : sum, 0);
}

// src/stats/operator-log.ts
var LOG_INTERVAL = 1e4;
function operatorLog({ log, now, refusal }) {
  const noted = /* @__PURE__ */ new Map();
  return (event, details) => {
    if (!LOGGED.has(event)) return;
    const { at, times } = noted.get(event) ?? { at: Number.NEGATIVE_INFINITY, times: 0 };
    const isDue2 = now() - at >= LOG_INTERVAL;
    noted.set(event, isDue2 ? { at: now(), times: 0 } : { at, times: times + 1 });
    if (!isDue2) return;
    const cause = event === "rows.refused" ? refusal?.() : void 0;
    log({ event, times: times + 1, ...labelsOf(event), ...details, ...cause !== void 0 && { cause } });
  };
}

// src/stats/row-counting.ts
function countingRows(raw, note) {
  const counted = (isTaken) => {
    note(isTaken ? "rows" : "rows.refused");
    return isTaken;
  };
  const store = {
    ...raw.store,
    put: (key, value) => counted(raw.store.put(key, value)),
    delete: (key) => counted(raw.store.delete(key))
  };
  return { ...raw, store, alarm: async (time) => counted(await raw.alarm(time)) };
}

// src/tree/outage.ts
var Outage = class {
  #parts;
  #pending;
  constructor(parts) {
    this.#parts = parts;
  }
  /** Restores an outage that began before the object hibernated. */
  start() {
    const since = persistedIn(this.#parts.connections);
    if (since !== void 0) this.#pending = { since, next: void 0 };
  }
  /** The root of `all` has a question to answer. */
  begin() {
    this.#pending ??= { since: this.#parts.runtime.now(), next: void 0 };
    const { since } = this.#pending;
    if (persistedIn(this.#parts.connections) !== since) this.#parts.connections.keep({ outageSince: since });
  }
  /** The root of `all` didn't answer: schedules the next attempt. */
  goOn() {
    this.begin();
    if (this.#pending) postpone(this.#pending, this.#parts.runtime.now());
    this.#parts.schedule.due(this.askAgainAt);
    this.#parts.schedule.stay();
  }
  /** The root of `all` has answered every question. */
  end() {
    this.#pending = void 0;
    if (persistedIn(this.#parts.connections) !== void 0) this.#parts.connections.keep({ outageSince: void 0 });
  }
  /** Whether it may be asked now. */
  get mayAsk() {
    return this.#pending === void 0 || isDue(this.#pending, this.#parts.runtime.now());
  }
  /** When to ask it again, in milliseconds since 1970; infinite if no question is left. */
  get askAgainAt() {
    return this.#pending ? retryAt(this.#pending, this.#parts.runtime.now()) : Number.POSITIVE_INFINITY;
  }
};
function persistedIn({ kept }) {
  return kept && "outageSince" in kept && isNumber(kept.outageSince) ? kept.outageSince : void 0;
}

// src/channel/history-rows.ts
var SEGMENT = "history:";
var hasTypes = shape({
  /** The position of the message before the first one. */
  after: isNumber,
  /** The number of messages in each batch. */
  counts: listOf(isNumber),
  /** When each batch was stored, in milliseconds since 1970. */
  times: listOf(isNumber),
  lines: isString,
  /** For each announcement with a key: the key, the position of its last message, and its number of messages. */
  keys: listOf(isKey)
});
function isSegmentRow(row) {
  return hasTypes(row) && row.counts.length === row.times.length && row.times.length > 0;
}
function isKey(value) {
  return Array.isArray(value) && isString(value[0]) && isNumber(value[1]) && isNumber(value[2]);
}
function piecesOf({ after, counts, lines, keys }) {
  const keyed = keys.map(([key, last, count2]) => ({ key, after: last - count2, last }));
  let position = after;
  let from = 0;
  let next = 0;
  const pieceUpTo = (to, key) => {
    const end = skipLines(lines, to - position, from);
    const piece = { count: to - position, lines: lines.slice(from, end), key };
    position = to;
    from = end;
    return piece;
  };
  return counts.map((count2) => {
    const end = position + count2;
    const pieces = [];
    for (let piece = keyed[next]; piece && piece.last <= end; piece = keyed[++next]) {
      if (piece.after > position) pieces.push(pieceUpTo(piece.after));
      pieces.push(pieceUpTo(piece.last, piece.key));
    }
    if (end > position) pieces.push(pieceUpTo(end));
    return pieces;
  });
}

// src/channel/retained.ts
var FULL_ROW = 4096;
var MAX_ROW_AGE = 1 / 8;
var Retained = class {
  #log;
  #limits;
  #now;
  #released;
  /** Oldest first, without gaps. */
  #segments = [];
  /** Announcements that are retained or about to be stored, by key. */
  #byKey = /* @__PURE__ */ new Map();
  /** Bytes of retained messages and keys, as UTF-8. */
  size = 0;
  /** @param released called with the slot of each row whose messages have all expired, and when the row was written */
  constructor(log, limits, now, released) {
    this.#log = log;
    this.#limits = limits;
    this.#now = now;
    this.#released = released;
  }
  get isEmpty() {
    return this.#segments.length === 0;
  }
  /** The position after which all messages are retained; undefined if no messages are. */
  get start() {
    return this.#segments[0]?.batches[0]?.after;
  }
  get newest() {
    return this.#segments.at(-1);
  }
  /** The newest segment, if its row has room for the next batch. */
  get open() {
    const { newest } = this;
    const [oldest] = newest?.batches ?? [];
    const isYoung = oldest && this.#now() - oldest.at < MAX_ROW_AGE * this.#limits.historySeconds * 1e3;
    return newest && isYoung && newest.size < FULL_ROW ? newest : void 0;
  }
  /** Whether the row in a slot has retained messages. */
  has(slot) {
    return this.#segments.some((segment) => segment.slot === slot);
  }
  /**
   * Whether a batch stored at this time, in milliseconds since 1970, is within the retention time. Times far in the
   * future count as expired: so even if the clock jumps, nothing is retained for more than twice the retention time.
   */
  isCurrent(at) {
    return Math.abs(this.#now() - at) < this.#limits.historySeconds * 1e3;
  }
  /** Adds a batch that was stored in the row of a slot. */
  add(slot, batch) {
    if (this.newest?.slot !== slot) this.#segments.push({ slot, batches: [], size: 0 });
    const { newest } = this;
    newest?.batches.push(batch);
    if (newest) newest.size += batch.size;
    this.size += batch.size;
  }
  /**
   * Drops expired batches, then the oldest ones until there is room for `size` more bytes. Also drops batches that
   * the log has dropped because links are too far behind.
   */
  dropExpired(size = 0) {
    for (let [segment] = this.#segments; segment; [segment] = this.#segments) {
      const [batch] = segment.batches;
      const hasRoom2 = this.size + size <= this.#limits.historyBytes;
      const isInLog = batch && batch.after >= (this.#log.start ?? 0);
      if (isInLog && hasRoom2 && this.isCurrent(batch.at)) return;
      this.#dropOldest(segment);
    }
  }
  /** Drops everything, including the keys of announcements that aren't stored yet. */
  dropAll() {
    for (let [segment] = this.#segments; segment; [segment] = this.#segments) this.#dropOldest(segment);
    this.#byKey.clear();
  }
  /** Drops the oldest batch, which is the first one of the oldest segment. */
  #dropOldest(segment) {
    const batch = segment.batches.shift();
    if (batch) {
      segment.size -= batch.size;
      this.size -= batch.size;
      for (const appended of batch.keyed) {
        const { key = "" } = appended;
        if (this.#byKey.get(key) === appended) this.#byKey.delete(key);
      }
    }
    if (segment.batches.length > 0) return;
    this.#segments.shift();
    this.#released(segment.slot, batch?.at ?? 0);
  }
  /** Indexes the key of an announcement, if it has one. */
  indexKey(appended) {
    if (appended.key !== void 0) this.#byKey.set(appended.key, appended);
  }
  /** Returns the retained announcement with a key. */
  announcedUnder(key) {
    this.dropExpired();
    return this.#byKey.get(key);
  }
};
function batchOf(messages, last, at, most) {
  const keyed = [];
  let count2 = 0;
  let size = 0;
  for (let i = messages.length - 1; i >= 0; i--) {
    const appended = messages[i];
    const part = appended && newestOf(appended, most - size);
    if (!part || part.count === 0) break;
    count2 += part.count;
    size += part.size;
    if (appended.key !== void 0) keyed.push(appended);
    if (part.count < appended.count) break;
  }
  return { after: last - count2, count: count2, at, size, keyed: keyed.reverse() };
}
function newestOf(appended, room) {
  const { lines, count: count2, key } = appended;
  let size = key === void 0 ? utf8Length(lines) : sizeOfKeyed(key, lines);
  if (size <= room) return { count: count2, size };
  if (key !== void 0) return { count: 0, size: 0 };
  let dropped = 0;
  for (let from = 0; size > room; dropped++) {
    const end = lines.indexOf("\n", from) + 1;
    size -= utf8Length(lines.slice(from, end));
    from = end;
  }
  return { count: count2 - dropped, size };
}

// src/channel/history.ts
var STRIDE = 1e6;
var History = class {
  #parts;
  #log;
  #limits;
  #renumbered;
  index;
  #free = [];
  #nextSlot = 0;
  #positionRow;
  /** The position up to which messages were stored or refused. */
  #stored = 0;
  /** Whether storage has refused the newest position. */
  isRefused = false;
  /** Whether the newest positions are beyond all that the object could assign after a crash. */
  #isAhead = false;
  /** Whether the object may have assigned positions, before a crash, that storage refused. */
  #isDoubtful = true;
  constructor(parts, log, limits, renumbered) {
    this.#parts = parts;
    this.#log = log;
    this.#limits = limits;
    this.#renumbered = renumbered;
    this.index = new Retained(log, limits, parts.runtime.now, (slot, at) => {
      if (slot !== this.#positionRow?.slot) this.#free.push({ slot, at });
    });
  }
  /** Restores the stored messages; the log continues after them. */
  restore() {
    this.#isDoubtful = !this.#parts.connections.hasSlept;
    for (const { slot, row } of rowsIn(this.#parts.runtime)) this.#restore(slot, row);
    this.dropExpired();
    if (this.isOn) this.#log.trim(this.#log.position ?? 0);
  }
  /** Whether messages are retained. */
  get isOn() {
    return this.#limits.historySeconds > 0;
  }
  /** The position after which all messages are retained. */
  get start() {
    return this.index.start ?? this.#stored;
  }
  /**
   * The retained messages: the position before the first, their number and their size; undefined if none are retained.
   */
  get retained() {
    this.dropExpired();
    if (this.index.isEmpty) return void 0;
    return { after: this.start, count: this.#stored - this.start, bytes: this.index.size };
  }
  /** The retention time, in milliseconds. */
  get #retention() {
    return this.#limits.historySeconds * 1e3;
  }
  /**
   * Continues after a position; earlier messages are not retained.
   * @param isRefused whether storage has refused this position
   */
  begin(position, isRefused = false) {
    this.index.dropAll();
    this.#log.begin(position);
    this.#continueAfter(position);
    this.isRefused = this.#isAhead = isRefused;
  }
  // --- storing
  /**
   * Stores new messages. Must be called before any output that reveals them.
   * @param sendsPosition whether the newest position is sent to a client, which restarts its retention time
   */
  store(sendsPosition) {
    if (!this.isOn) return;
    if (this.#log.position !== this.#stored) this.#storeMessages();
    else if (sendsPosition && !(this.#positionRow && this.index.isCurrent(this.#positionRow.at))) this.#storePosition();
    else return;
    this.#scheduleExpiry();
  }
  /** Retains the newest position for a client that counted positions and has left, or may have left. */
  retainPosition() {
    if (!this.#positionRow && this.#log.position === this.#stored) return;
    this.store(true);
    this.#scheduleExpiry();
  }
  /** Schedules `expire` for the time at which the newest row may expire, if there is one. */
  #scheduleExpiry() {
    if (!this.#positionRow) return;
    const now = this.#parts.runtime.now();
    const slack = MAX_ROW_AGE * this.#retention;
    this.#parts.schedule.due(Math.max(Math.min(this.#positionRow.at, now) + 2 * this.#retention, now) + slack);
  }
  #storeMessages() {
    const position = this.#log.position ?? 0;
    const messages = this.#log.after(this.#stored);
    const batch = batchOf(messages, position, this.#parts.runtime.now(), this.#limits.historyBytes);
    if (batch.after === this.#stored) this.index.dropExpired(batch.size);
    else {
      this.index.dropAll();
      for (const appended of batch.keyed) this.index.indexKey(appended);
    }
    if (batch.count > 0) this.#storeBatch(batch, position);
    else this.#storePosition();
  }
  #storeBatch(batch, position) {
    const { open } = this.index;
    const slot = open?.slot ?? this.#slot;
    if (this.#put(slot, this.#rowOf(open?.batches ?? [], batch))) {
      this.index.add(slot, batch);
      this.#recordStored(position, { slot, at: batch.at, hasMessages: true });
    } else this.#handleRefusal();
  }
  /** Returns a row of batches. `newest` ends with the newest message in the log. */
  #rowOf(batches, newest) {
    const { after } = batches[0] ?? newest;
    const { lines } = this.#log.since(after, Number.POSITIVE_INFINITY);
    const row = { after, counts: [], times: [], lines, keys: [] };
    for (const batch of batches) addBatch(row, batch);
    addBatch(row, newest);
    return row;
  }
  /** Stores the newest position in a row without messages. */
  #storePosition() {
    const position = this.#log.position ?? 0;
    const at = this.#parts.runtime.now();
    const slot = this.#slot;
    if (this.#put(slot, { after: position, counts: [0], times: [at], lines: "", keys: [] })) {
      this.#recordStored(position, { slot, at, hasMessages: false });
    } else if (position === this.#stored) this.isRefused = true;
    else this.#handleRefusal();
  }
  /** The slot of the next row. It overwrites the position's row if that has no retained messages. */
  get #slot() {
    return (this.index.isEmpty ? this.#positionRow?.slot : void 0) ?? this.#free[0]?.slot ?? this.#nextSlot;
  }
  #put(slot, row) {
    return this.#parts.runtime.store.put(SEGMENT + slot, row);
  }
  #recordStored(position, row) {
    this.#stored = position;
    this.isRefused = this.#isAhead = false;
    this.#nextSlot = Math.max(this.#nextSlot, row.slot + 1);
    if (this.#free[0]?.slot === row.slot) this.#free.shift();
    this.#setPositionRow(row);
    this.#retainLog();
  }
  #setPositionRow(row) {
    const before = this.#positionRow;
    this.#positionRow = row;
    if (before && before.slot !== row?.slot && !this.index.has(before.slot)) this.#free.push(before);
  }
  // --- full storage
  /**
   * Stops retaining messages, as storage refused the newest ones, and moves these to positions that are never reused.
   */
  #handleRefusal() {
    const last = this.#log.position ?? 0;
    this.isRefused = true;
    this.index.dropAll();
    if (!this.#isAhead) {
      const stride = Math.floor(STRIDE * (1 + this.#parts.runtime.random()));
      const base = Math.max(this.#parts.runtime.now() * 1e3, last) + stride;
      this.#isAhead = true;
      this.#log.renumber(this.#stored, base);
      this.#renumbered(base, last - this.#stored);
    }
    this.#continueAfter(this.#log.position ?? 0);
  }
  /** Continues after a position that no row records; earlier messages are not retained. */
  #continueAfter(position) {
    this.#stored = position;
    this.#setPositionRow(void 0);
    this.#retainLog();
  }
  /**
   * After a crash, checks that storage accepts rows before clients rely on the retained messages. If it doesn't,
   * messages announced before the crash may not have been stored, so earlier messages count as not retained.
   */
  #checkStorage() {
    if (!this.#isDoubtful || this.#parts.runtime.store.hasTaken()) return;
    this.#isDoubtful = false;
    this.dropExpired();
    const { newest } = this.index;
    const batch = newest?.batches.at(-1);
    if (!newest || !batch) this.#storePosition();
    else if (this.#put(newest.slot, this.#rowOf(newest.batches.slice(0, -1), batch))) return;
    if (newest || this.isRefused) this.#handleRefusal();
  }
  /**
   * Stores a position that storage refused, if storage accepts rows again.
   * @param isCounted whether clients count positions from the newest one, so that its row can't expire
   */
  settle(isCounted) {
    if (this.isRefused) this.store(true);
    if (!isCounted) this.#scheduleExpiry();
  }
  // --- reading
  /** Returns the retained messages after `since`, and at least the newest `last`; undefined without a history. */
  readMissed({ since, last }) {
    if (!this.isOn) return void 0;
    if (since !== void 0) this.#checkStorage();
    this.dropExpired();
    const position = this.#log.position ?? 0;
    const after = Math.max(this.start, Math.min(since ?? position, position - last));
    return this.#log.since(after, Number.POSITIVE_INFINITY);
  }
  // --- expiry
  /** Drops expired messages from memory. Restoring drops them too, even if their rows still exist. */
  dropExpired() {
    this.index.dropExpired();
    this.#retainLog();
  }
  /**
   * Deletes expired rows.
   * @param isCounted whether clients count positions from the newest one, so that its row stays
   */
  expire(isCounted) {
    this.dropExpired();
    this.#free = this.#free.filter((row) => this.#isReusedSoon(row) || !this.#delete(row.slot));
    const isSettled = this.index.isEmpty && this.#log.position === this.#stored;
    if (this.#positionRow && isSettled) this.#expirePositionRow(this.#positionRow, isCounted);
    if (!isCounted || this.#positionRow?.hasMessages) this.#scheduleExpiry();
  }
  /** Whether a free row is likely to be overwritten soon, which saves deleting it. */
  #isReusedSoon({ at }) {
    const age = this.#parts.runtime.now() - at;
    return !this.index.isEmpty && age >= 0 && age < (1 + MAX_ROW_AGE) * this.#retention;
  }
  #expirePositionRow({ slot, at, hasMessages }, isCounted) {
    const now = this.#parts.runtime.now();
    if (!isCounted && now >= at + 2 * this.#retention) {
      if (this.#delete(slot)) this.#positionRow = void 0;
    } else if (isCounted && hasMessages || at > now) this.#storePosition();
  }
  #delete(slot) {
    return this.#parts.runtime.store.delete(SEGMENT + slot);
  }
  /** Keeps retained messages in the log after all links have received them. */
  #retainLog() {
    if (this.isOn) this.#log.retainAfter(this.start);
  }
  /** Restores the messages of a row. If they don't follow those before, those are not retained. */
  #restore(slot, row) {
    this.#nextSlot = Math.max(this.#nextSlot, slot + 1);
    if (this.#log.position !== row.after) this.begin(row.after);
    const pieces = piecesOf(row);
    for (const [i, at2] of row.times.entries()) {
      const appended = (pieces[i] ?? []).map(({ lines, count: count2, key }) => this.#log.append(lines, count2, key));
      for (const announcement of appended) this.index.indexKey(announcement);
      const batch = batchOf(appended, this.#log.position ?? 0, at2, Number.POSITIVE_INFINITY);
      if (batch.count > 0) this.index.add(slot, batch);
    }
    this.#stored = this.#log.position ?? 0;
    const at = Math.max(...row.times);
    this.#setPositionRow({ slot, at, hasMessages: row.lines !== "" });
  }
};
function rowsIn({ store }) {
  const rows = [];
  for (const [key, value] of store.list(SEGMENT)) {
    const row = rowOf(value, isSegmentRow);
    if (row) rows.push({ slot: Number(key.slice(SEGMENT.length)), row });
  }
  return rows.sort((a, b) => lastOf(a.row) - lastOf(b.row) || a.row.after - b.row.after);
}
function lastOf({ after, counts }) {
  return counts.reduce((last, count2) => last + count2, after);
}
function addBatch({ counts, times, keys }, { count: count2, at, keyed }) {
  counts.push(count2);
  times.push(at);
  for (const { key = "", last, count: count3 } of keyed) keys.push([key, last, count3]);
}

// src/channel/channel-log.ts
var ChannelLog = class {
  log = new Log(void 0);
  /** Undefined at a child: the channel's root retains its messages. */
  history;
  #keeper;
  constructor(parts, limits, renumbered) {
    this.#keeper = parts.connections;
    if (parentOf(parts.runtime.name) === void 0) this.history = new History(parts, this.log, limits, renumbered);
  }
  /** The position of the newest message; undefined while this object doesn't know it. */
  get position() {
    return this.log.position;
  }
  /** Whether messages are retained. */
  get hasHistory() {
    return this.history?.isOn === true;
  }
  /** Continues after a position, unless the log is there already. */
  continueAfter(position) {
    if (position === void 0 || position === this.log.position) return;
    if (this.history) this.history.begin(position, position === this.unstoredPosition);
    else this.log.begin(position);
  }
  /**
   * Gives messages the next positions.
   * @param hasLinks whether links need the messages; otherwise only retained messages stay in the log
   */
  append(lines, count2, key, hasLinks) {
    if (!hasLinks && !this.hasHistory) return this.log.skip(lines, count2);
    const appended = this.log.append(lines, count2, key);
    this.history?.index.indexKey(appended);
    return appended;
  }
  /** Continues after the position to which the root has moved, because its storage refuses rows. */
  renumber(position) {
    if (this.log.position === void 0) this.log.begin(position);
    else this.log.renumber(this.log.position, position);
  }
  /** Returns the newest position, and retains it for the client that will count positions from it. */
  locate() {
    this.store(true);
    return this.log.position;
  }
  /** Returns the retained messages after a position, and at least the newest ones that the request asks for. */
  readMissed(missing) {
    this.store(true);
    return this.history?.readMissed(missing) ?? { none: true };
  }
  /**
   * Stores the messages to retain; the platform holds back output until they are durable.
   * @param sendsPosition whether the newest position is about to be sent to a client, even if there is no message
   */
  store(sendsPosition = false) {
    this.history?.store(sendsPosition);
  }
  /** The newest position, which storage refused before the object hibernated; undefined if storage has it. */
  get unstoredPosition() {
    const { kept } = this.#keeper;
    return kept && "position" in kept && isNumber(kept.position) ? kept.position : void 0;
  }
  /**
   * Saves the newest position in a socket's attachment if storage refused it.
   * @param isOrderStored whether storage has the position that links need
   * @returns whether nothing is left to save
   */
  saveUnstored(isOrderStored) {
    const position = isOrderStored && !this.history?.isRefused ? void 0 : this.log.position;
    return position === this.unstoredPosition || this.#keeper.keep({ position }) || position === void 0;
  }
};

// src/tree/capacity.ts
var Capacity = class {
  #parts;
  #downstream;
  #children = /* @__PURE__ */ new Map();
  /** What this child has reported to its parent. */
  #reported = { sockets: false, links: false };
  constructor(parts, downstream) {
    this.#parts = parts;
    this.#downstream = downstream;
  }
  /** Restores the children that are linked. */
  start() {
    for (const object of this.#downstream.objects) if (this.isChild(object)) this.add(object, "");
  }
  isChild(object) {
    return parentOf(object) === this.#parts.runtime.name;
  }
  isFull(load) {
    return this.#count(load) >= this.#limit(load);
  }
  #limit(load) {
    const { socketsPerObject, linksPerObject } = this.#parts.limits;
    return load === "sockets" ? socketsPerObject : linksPerObject;
  }
  /** Links to children don't count: they are what more load goes to. */
  #count(load) {
    const { size, isCrowded } = this.#parts.connections;
    if (load === "sockets") return isCrowded ? Number.POSITIVE_INFINITY : size;
    let links = 0;
    for (const object of this.#downstream.objects) if (!this.isChild(object)) links += 1;
    return links;
  }
  /** Adds a child. */
  add(child, region) {
    if (this.#children.has(child)) return;
    this.#children.set(child, { region, full: { sockets: false, links: false } });
  }
  /** Removes a child that is empty; its number is free again. */
  remove(child) {
    this.#children.delete(child);
  }
  /** Notes a child's report of whether it is full. */
  note({ child, load, full }) {
    this.add(child, "");
    const known = this.#children.get(child);
    if (known) known.full[load] = full;
  }
  /**
   * Returns where the next connection should go; undefined for here.
   * @param region where the client is
   * @param full the child that turned out to be full; "" if none did
   * @param below whether to place the connection below this object if it has no room
   */
  placementFor(region, full, below) {
    if (full !== "") this.note({ child: full, load: "sockets", full: true });
    if (!this.isFull("sockets")) return void 0;
    if (parentOf(this.#parts.runtime.name) !== void 0 && !below) return { object: "", below: true };
    return this.choose("sockets", region);
  }
  /** Reports to the parent when this child has become full, and again when an eighth is free. */
  report(load) {
    const { name } = this.#parts.runtime;
    const parent = parentOf(name);
    if (parent === void 0) return;
    const limit = this.#limit(load);
    const threshold = this.#reported[load] ? limit - Math.max(1, limit >> 3) + 1 : limit;
    const full = this.#count(load) >= threshold;
    if (full === this.#reported[load]) return;
    this.#reported[load] = full;
    this.#parts.runtime.keep(this.#parts.runtime.call(parent, "fill", { child: name, load, full }).catch(() => {
    }));
  }
  /**
   * Chooses a child: one of the region with room, else a new one if the limit allows it, else any with room, else any,
   * which places the connection below itself.
   */
  choose(load, region = "") {
    const { name } = this.#parts.runtime;
    const roomy = [...this.#children].filter(([, child]) => !child.full[load]);
    const near = roomy.find(([, child]) => child.region === region || region === "");
    if (near) return { object: near[0], below: false };
    if (this.#children.size < this.#parts.limits.linksPerObject) {
      let n = 1;
      while (this.#children.has(childOf(name, n))) n += 1;
      const object2 = childOf(name, n);
      this.add(object2, region);
      return { object: object2, below: false };
    }
    const [first] = roomy;
    if (first) return { object: first[0], below: false };
    const object = [...this.#children.keys()][Math.floor(this.#parts.runtime.random() * this.#children.size)];
    assert(object !== void 0, "the limit allows at least one child");
    return { object, below: true };
  }
};

// src/tree/delivery.ts
var MAX_DELIVERY = 1e6;
var MAX_IN_FLIGHT = 8e6;
function shareOf(links) {
  return Math.min(MAX_DELIVERY, Math.floor(MAX_IN_FLIGHT / Math.max(1, links)));
}
var DownstreamLink = class {
  object;
  epoch;
  /** The receiver has everything up to this position. */
  acknowledged;
  /** Whether the receiver has to be asked for its position first, because `acknowledged` is unknown. */
  isPositionUnknown = false;
  /** Whether the receiver may already have some of the messages after `acknowledged`, because a call failed. */
  mayRepeat = false;
  /** Set if messages for the link were dropped. Then the receiver is told only that, and the link ends. */
  loss;
  /** Whether storage refused to record the loss. Until the receiver is told, this object must stay in memory. */
  isLossUnwritten = false;
  isSending = false;
  /** Whether the receiver has restarted during the call in flight. */
  hasRestarted = false;
  /**
   * Creates a new link, or restores one from its row.
   * @param lostAt the time of the loss, in milliseconds since 1970; the receiver is told when the alarm goes off
   */
  constructor(object, { epoch, lostAt }, acknowledged) {
    this.object = object;
    this.epoch = epoch;
    this.acknowledged = acknowledged;
    if (lostAt !== void 0) this.loss = { since: lostAt, next: void 0 };
  }
  /** Marks the position as unknown, after a crash of either end during deliveries. The log has the messages that may be missing. */
  markUnknown(log) {
    this.acknowledged = log.start ?? 0;
    this.isPositionUnknown = true;
    this.mayRepeat = true;
  }
  /** Continues after the position that the receiver reported. Returns false if the log lacks messages after it. */
  resumeAt(last, { start = 0, position = 0 }) {
    this.isPositionUnknown = false;
    this.acknowledged = last;
    return last >= start && last <= position;
  }
  /** Marks the link as lost; returns its new row. */
  markLost(now) {
    this.loss = { since: this.loss?.since ?? now, next: now };
    return { epoch: this.epoch, lostAt: this.loss.since };
  }
  /** The epoch, if the object may rely on the link. */
  get vouched() {
    return this.loss || this.isPositionUnknown ? void 0 : this.epoch;
  }
  /** Whether there is something to send. */
  hasPending(log) {
    return this.loss !== void 0 || this.isPositionUnknown || this.acknowledged < (log.position ?? 0);
  }
  /** Whether the log has dropped messages that the link still needs. */
  isBehindLog(log) {
    return !this.loss && !this.isPositionUnknown && this.acknowledged < (log.start ?? 0);
  }
  /**
   * Whether to send now. Links have one call in flight; losses that couldn't be reported wait for their next attempt.
   */
  maySend(now) {
    if (this.isSending) return false;
    return !this.loss || this.loss.next !== void 0 && this.loss.next <= now;
  }
  /**
   * Returns the next delivery: messages, a request for the receiver's position, or the report of a loss.
   * @param from the name of this object
   * @param number the number of the delivery
   * @param most the most characters of messages
   */
  next(log, from, number, most) {
    const { epoch, acknowledged, mayRepeat: again } = this;
    const lost = this.loss !== void 0;
    const where = this.isPositionUnknown && !lost;
    const call = { channel: channelOf(from), from, epoch, number, again, lost, where };
    if (lost || where) return { ...call, after: where ? log.position ?? 0 : acknowledged, lines: "", count: 0 };
    const messages = log.since(acknowledged, most);
    const follows = messages.after === acknowledged ? void 0 : acknowledged;
    return { ...call, ...messages, follows };
  }
};

// src/tree/link-rows.ts
var LINK2 = "downstream:";
var ORDER = "order";
var isLinkRow2 = shape({
  epoch: isNumber,
  /** The time at which the link was lost, in milliseconds since 1970; undefined if it isn't lost. */
  lostAt: optional(isNumber)
});
var isOrderRow = shape({
  /** The newest position; undefined while a child doesn't know it. */
  position: optional(isNumber),
  /** Whether deliveries may be pending. */
  busy: isBoolean,
  /**
   * The alarm's time when the row was written, in milliseconds since 1970. Before the first delivery after a quiet
   * time, the object sets the alarm to another time instead of writing a row. So if the object wakes and the alarm is
   * set for another time than this, deliveries may have been pending. An alarm that has gone off means nothing.
   */
  alarm: optional(isNumber),
  /** Whether the object has a history: then the history has the newest position, and the alarm doesn't count. */
  kept: isBoolean
});
function restoreOrder(row, stored, unstored, runtime) {
  if (unstored !== void 0) {
    const position2 = Math.max(unstored, row?.position ?? 0, stored ?? 0);
    return { position: position2, isBehind: false, isInDoubt: false };
  }
  if (row?.kept && stored !== void 0 && stored >= (row.position ?? 0)) {
    return { position: stored, isBehind: stored !== row.position, isInDoubt: false };
  }
  const alarm = runtime.alarmTime();
  const wasBusy = row !== void 0 && (row.busy || alarm !== void 0 && alarm !== row.alarm);
  const isInDoubt = wasBusy && !row.kept;
  const position = isInDoubt ? void 0 : row?.position ?? stored;
  return { position: position ?? firstPosition(runtime), isBehind: false, isInDoubt };
}
function isSameOrder(row, other) {
  if (row.position !== other.position || row.busy !== other.busy || row.kept !== other.kept) return false;
  return other.alarm === void 0 || other.alarm === row.alarm;
}
function firstPosition({ name, now }) {
  return parentOf(name) === void 0 ? now() * 1e3 : void 0;
}

// src/tree/downstream.ts
var Downstream = class {
  #parts;
  #channel;
  #ended;
  #links = /* @__PURE__ */ new Map();
  /** The number of the newest delivery. Numbers are times, so they rise even if the object leaves memory in between. */
  #newest = 0;
  /** Whether a crash would leave links in doubt. */
  isBusy = false;
  /** The row that storage has under `order`. */
  #row;
  /** @param ended called with the object whose link has ended */
  constructor(parts, channel, ended) {
    this.#parts = parts;
    this.#channel = channel;
    this.#ended = ended;
  }
  /**
   * Restores links and the channel's position from storage. If the object crashed during deliveries, it can't know what
   * was received: then every link is lost.
   */
  start() {
    const { unstoredPosition } = this.#channel;
    this.#setRow(rowOf(this.#parts.runtime.store.get(ORDER), isOrderRow));
    const { position, isBehind, isInDoubt } = restoreOrder(
      this.#row,
      this.#channel.position,
      unstoredPosition,
      this.#parts.runtime
    );
    this.#channel.continueAfter(position);
    this.isBusy = isBehind || isInDoubt;
    const isUnknown = position === void 0 || !(this.#row || unstoredPosition !== void 0);
    for (const [key, value] of this.#parts.runtime.store.list(LINK2)) {
      const row = rowOf(value, isLinkRow2);
      if (!row) continue;
      const link = this.#add(key.slice(LINK2.length), row);
      if (isInDoubt || isUnknown) this.#noteLoss(link);
      else if (this.isBusy) link.markUnknown(this.#channel.log);
    }
    this.#parts.schedule.due(this.lossReportAt);
  }
  #setRow(row) {
    this.#row = row;
    this.#parts.schedule.rest = row?.alarm;
  }
  /** The names of the linked objects. */
  get objects() {
    return this.#links.keys();
  }
  /** The number of linked objects. */
  get size() {
    return this.#links.size;
  }
  /** Returns the link to an object; undefined if there is none. */
  linkTo(object) {
    return this.#links.get(object);
  }
  /** Gives messages the next positions, and schedules their delivery. */
  append(lines, count2, key) {
    const hasLinks = this.#links.size > 0;
    const appended = this.#channel.append(lines, count2, key, hasLinks);
    if (hasLinks || this.#channel.hasHistory) {
      this.scheduleDelivery();
      if (this.#channel.log.size > this.#maxBuffered) this.#shorten(appended.last);
    }
    return appended;
  }
  /** Appends messages that the parent has delivered, which keep their positions. */
  relay(lines, count2, after) {
    const { log } = this.#channel;
    if (log.position === void 0) log.begin(after);
    assert(log.position === after, "a parent's messages follow the newest one here");
    this.append(lines, count2);
  }
  get #maxBuffered() {
    return this.#parts.limits.maxBufferedBytes;
  }
  /** Schedules a delivery to every link. */
  scheduleDelivery() {
    if (!this.isBusy && this.#links.size > 0) this.#parts.schedule.mark();
    this.isBusy = this.#links.size > 0;
    this.#parts.schedule.flush();
  }
  /** Cuts off every link: messages are missing here. */
  loseAll() {
    for (const link of this.#links.values()) if (!link.loss) this.#cutOff(link);
    this.#channel.log.forgetPosition();
    this.#writeOrder();
    this.flush();
  }
  /** Starts to deliver what each link is behind by, after storing it. Returns at once. */
  flush() {
    this.#channel.store();
    this.trim();
    const now = this.#parts.runtime.now();
    for (const link of this.#links.values()) {
      if (link.hasPending(this.#channel.log) && link.maySend(now)) this.#parts.runtime.keep(this.#send(link));
    }
  }
  /** Drops messages that every link has received and that aren't retained. */
  trim() {
    let lowest = this.#channel.position ?? 0;
    for (const { loss, acknowledged } of this.#links.values()) if (!loss) lowest = Math.min(lowest, acknowledged);
    this.#channel.log.trim(lowest);
  }
  /** When to call `reportLosses`, in milliseconds since 1970; infinite if no link is lost. */
  get lossReportAt() {
    return earliestRetry(this.#losses, this.#parts.runtime.now());
  }
  /** Tells lost links so again, if it is time to: objects that were unreachable may have recovered. */
  reportLosses() {
    const now = this.#parts.runtime.now();
    for (const loss of this.#losses) if (isDue(loss, now)) loss.next = now;
    this.flush();
  }
  get #losses() {
    return [...this.#links.values()].flatMap(({ loss }) => loss ?? []);
  }
  /**
   * Links an object, unless it is linked already. The answer has the position after which deliveries begin.
   * @throws Error if storage refuses the row
   */
  link({ from, epoch, still }) {
    const known = this.#links.get(from);
    if (known && known.epoch > epoch) return { newer: known.epoch };
    if (known?.epoch === epoch) return this.#answerAgain(known, still);
    if (still) return { newer: epoch };
    if (known) this.#end(known);
    this.#channel.store();
    const { position } = this.#channel;
    assert(position !== void 0, "a parent knows its position before it accepts links");
    const row = { epoch, lostAt: void 0 };
    if (!this.#parts.runtime.store.put(LINK2 + from, row)) throw new Error("storage takes no more links");
    this.#add(from, row);
    if (this.#row?.position === void 0) this.#writeOrder();
    return { after: position };
  }
  /** Answers an object that asks for its link again, or whether it still has it. */
  #answerAgain(link, still) {
    if (still) this.#compare(link, still);
    if (!link.loss) return { after: link.acknowledged };
    this.#parts.schedule.flush();
    return { newer: link.epoch };
  }
  /** Compares both ends of a link. */
  #compare(link, { last, restarted = false }) {
    if (link.loss) return;
    link.hasRestarted = link.isSending && restarted;
    if (last === void 0 && link.mayRepeat) this.#cutOff(link);
    if (last === void 0) return;
    if (link.isPositionUnknown ? !link.resumeAt(last, this.#channel.log) : last > (this.#channel.position ?? 0)) {
      this.#cutOff(link);
    }
  }
  /** Ends the link of an object, unless it was requested after `epoch`. */
  unlink({ from, epoch }) {
    const known = this.#links.get(from);
    if (!known || known.epoch > epoch) return;
    this.#end(known);
    this.#ended(from);
  }
  /**
   * Writes that every link has all messages, if that is so.
   * @param isCounted whether clients count on from the newest position
   * @returns whether nothing would be lost if the object left memory
   */
  settle(isCounted) {
    for (const link of this.#links.values()) {
      if (link.isLossUnwritten) this.#cutOff(link);
      if (link.isSending || link.isLossUnwritten || link.hasPending(this.#channel.log) && !link.loss) return false;
    }
    this.isBusy = false;
    this.#channel.history?.settle(isCounted);
    this.#writeOrder();
    const isInOrder = this.#links.size === 0 || this.#row?.position === this.#channel.position;
    return this.#channel.saveUnstored(isInOrder) || this.#channel.history !== void 0;
  }
  #add(object, row) {
    const link = new DownstreamLink(object, row, this.#channel.position ?? 0);
    this.#links.set(object, link);
    return link;
  }
  /** Delivers once, with as many attempts as that takes; later messages go with the next flush. */
  async #send(link) {
    link.isSending = true;
    const isLinked = () => this.#links.get(link.object) === link;
    const deliver = () => retry(this.#parts.runtime, () => this.#deliver(link), isLinked);
    const reached = await deliver().catch(() => {
      if (link.loss || !isLinked()) return false;
      this.#cutOff(link);
      return deliver().catch(() => false);
    });
    link.isSending = false;
    if (!reached && link.loss) postpone(link.loss, this.#parts.runtime.now());
    if (reached && isLinked() && link.hasPending(this.#channel.log)) this.#parts.schedule.flush();
  }
  async #deliver(link) {
    this.#channel.store();
    if (link.isBehindLog(this.#channel.log)) this.#cutOff(link);
    this.#newest = Math.max(this.#newest + 1, this.#parts.runtime.now());
    const share = shareOf(this.#links.size);
    const delivery = link.next(this.#channel.log, this.#parts.runtime.name, this.#newest, share);
    try {
      const hasOwnBudget = delivery.lines.length <= share;
      this.#acknowledge(link, delivery, await this.#parts.runtime.call(link.object, "deliver", delivery, hasOwnBudget));
      return true;
    } catch (error) {
      if (!wasNotMade(error)) link.mayRepeat = true;
      throw error;
    }
  }
  #acknowledge(link, delivery, answer) {
    if (this.#links.get(link.object) !== link) return;
    if (answer.gone) {
      this.#end(link);
      this.#ended(link.object);
      return;
    }
    if ("newer" in answer) {
      this.#newest = Math.max(this.#newest, answer.newer);
      return;
    }
    if (link.loss) return;
    link.mayRepeat = false;
    if (link.hasRestarted) {
      link.hasRestarted = false;
      link.markUnknown(this.#channel.log);
      return;
    }
    const last = answer.last ?? delivery.after + delivery.count;
    if (!link.isPositionUnknown) link.acknowledged = last;
    else if (!link.resumeAt(last, this.#channel.log)) this.#cutOff(link);
    if (!link.hasPending(this.#channel.log)) this.trim();
  }
  /** Drops what every link has; if that isn't enough, cuts off the links that are furthest behind. */
  #shorten(last) {
    this.trim();
    if (this.#channel.log.size <= this.#maxBuffered) return;
    const start = this.#channel.log.trimTo(this.#maxBuffered / 2) ?? last;
    for (const link of this.#links.values()) {
      if (!link.loss && link.acknowledged < start) this.#cutOff(link);
    }
  }
  #cutOff(link) {
    this.#noteLoss(link);
    this.#parts.schedule.due(this.lossReportAt);
  }
  #noteLoss(link) {
    const row = link.markLost(this.#parts.runtime.now());
    link.isLossUnwritten = !this.#parts.runtime.store.put(LINK2 + link.object, row);
  }
  #end(link) {
    this.#links.delete(link.object);
    this.#parts.runtime.store.delete(LINK2 + link.object);
    if (this.#links.size > 0) return;
    this.#channel.log.trim(this.#channel.position ?? 0);
    this.isBusy = false;
    this.#setRow(void 0);
    this.#parts.runtime.store.delete(ORDER);
  }
  /** Writes what storage must know of the order, unless it has it. */
  #writeOrder() {
    if (this.#links.size === 0) return;
    this.#channel.store();
    const { position, hasHistory: hasHistory2 } = this.#channel;
    const row = hasHistory2 ? { position, busy: false, alarm: void 0, kept: true } : { position, busy: this.isBusy, alarm: this.#parts.runtime.alarmTime(), kept: false };
    if (!(this.#row && isSameOrder(this.#row, row)) && this.#parts.runtime.store.put(ORDER, row)) this.#setRow(row);
  }
};

// src/tree/router.ts
var MAX_TRIES = 10;
var Router = class {
  channel;
  downstream;
  upstream;
  capacity;
  #parts;
  #forwarding;
  #catchUp;
  /** The channel whose root this object is, or a child of it. */
  #own;
  constructor(parts) {
    const { runtime, limits } = parts;
    this.#parts = parts;
    this.#own = channelOf(runtime.name);
    const history = hasHistory(limits, runtime.name) ? limits : { ...limits, historySeconds: 0 };
    this.channel = new ChannelLog(parts, history, (position, count2) => this.#renumbered(position, count2));
    this.downstream = new Downstream(parts, this.channel, (object) => this.#unlinked(object));
    this.capacity = new Capacity(parts, this.downstream);
    this.upstream = new Upstream(parts, this.channel.log, this);
    this.#forwarding = new Forwarding(runtime, limits.maxBufferedBytes, this.upstream);
    this.#catchUp = new CatchUp(runtime);
  }
  /** Restores messages and links from storage: first the position, then the links that go by it. */
  start() {
    this.channel.history?.restore();
    this.downstream.start();
    this.capacity.start();
    const hasCrashed = this.upstream.start() && !this.#parts.connections.hasSlept;
    if (!this.#isRootOf(this.#own) && !this.upstream.has(this.#own)) this.downstream.loseAll();
    if (this.downstream.isBusy) this.#parts.schedule.flush();
    if (hasCrashed) this.channel.history?.retainPosition();
  }
  // --- announcements
  /**
   * Announces messages, formatted as lines, that get consecutive positions.
   * @returns a promise that resolves when they have their positions and have been passed on here; undefined if that is
   *   so already
   * @throws QueueFull if none was announced; anything else if that is unknown
   */
  announce(channel, lines, count2) {
    if (!this.#isRootOf(channel)) return this.#forward(channel, lines, count2);
    this.#parts.counters.count("announcements", count2);
    this.append({ lines, count: count2 });
    return void 0;
  }
  /** Gives messages of this root's channel their positions, and passes them on. */
  append({ lines, count: count2, key }) {
    const appended = this.downstream.append(lines, count2, key);
    this.#publish(this.#own, lines, count2);
    return appended;
  }
  /**
   * Announces a message, formatted as a line, unless it was announced under the same key.
   * @returns at its root, the position of the first announcement, or undefined if the key was used for another message;
   *   elsewhere a promise of its position, which rejects with KeyConflict, or like `announce`
   */
  announceOnce(channel, key, line) {
    if (!this.#isRootOf(channel)) return this.#forward(channel, line, 1, key);
    if (this.channel.history?.index.announcedUnder(key) === void 0) this.#parts.counters.count("announcements");
    return this.#appendOnce({ lines: line, count: 1, key });
  }
  async #forward(channel, lines, count2, key) {
    const last = await this.#forwarding.forward(channel, lines, count2, key);
    this.#parts.counters.count("announcements", count2);
    if (key !== void 0 && this.upstream.isUnlocated(channel)) await this.#locate(channel);
    await this.upstream.reached(channel, last);
    return last;
  }
  /** Appends messages at this root unless they were announced under their key; undefined if others were. */
  #appendOnce({ lines, count: count2, key }) {
    const known = key === void 0 ? void 0 : this.channel.history?.index.announcedUnder(key);
    if (!known) return this.append({ lines, count: count2, key });
    return known.lines === lines ? known : void 0;
  }
  /** Appends several messages, each under its own key; they are lines one after another. */
  appendEachOnce(keys, lines) {
    const each = lines.split("\n");
    return keys.map((key, i) => this.#appendOnce({ lines: `${each[i]}
`, count: 1, key }));
  }
  /**
   * Announces messages at this root that didn't come from a connection.
   * @returns a function that returns the answer, which is final when the messages are stored
   */
  announceHere({ lines, count: count2, key, expected }) {
    const { hasHistory: hasHistory2, history } = this.channel;
    if (!hasHistory2 && (key !== void 0 || expected !== void 0)) return () => ({ none: true });
    const isNew = key === void 0 || history?.index.announcedUnder(key) === void 0;
    const newest = expected === void 0 || !isNew ? void 0 : this.channel.locate();
    if (newest !== void 0 && newest !== expected) return () => ({ newest });
    if (isNew) this.#parts.counters.count("announcements", count2);
    const appended = this.#appendOnce({ lines, count: count2, key });
    if (!appended) return () => ({ conflict: true });
    return () => ({ last: hasHistory2 ? appended.last : void 0 });
  }
  // --- deliveries
  receive(channel, lines, count2, after) {
    this.#catchUp.append(channel, lines, count2);
    if (channel === this.#own) this.downstream.relay(lines, count2, after);
    this.#publish(channel, lines, count2);
  }
  #publish(channel, lines, count2) {
    const { connections, counters } = this.#parts;
    connections.publish(channel, lines);
    counters.count("messages", count2 * connections.subscribers(channel));
  }
  renumber(channel, position) {
    this.#catchUp.abort(channel);
    if (channel === this.#own) {
      this.channel.renumber(position);
      this.downstream.scheduleDelivery();
    }
    this.#insertPosition(channel, position, 0);
  }
  /** Storage refuses messages, so this root has moved the newest `count` to the positions after `position`. */
  #renumbered(position, count2) {
    this.downstream.scheduleDelivery();
    this.#insertPosition(this.#own, position, count2);
  }
  /**
   * Sends the new position of a channel to the connections that count positions on, before the newest `count` messages,
   * which were gathered for them and not sent.
   */
  #insertPosition(channel, position, count2) {
    this.#parts.connections.insert(channel, formatPosition(channel, position), count2);
  }
  lose(channel) {
    this.#catchUp.abort(channel);
    this.#parts.lifecycle.lost(channel);
    if (channel === this.#own) this.downstream.loseAll();
    if (channel === EVERYONE) this.joinEveryone();
  }
  // --- missed messages
  /**
   * Passes on the missed messages of a channel, up to where a subscription that begins at that moment continues.
   * @throws Unreachable if the channel can't be linked; anything if its root doesn't answer, or that `accept` throws
   */
  async readMissed(channel, wanted, accept) {
    if (this.#isRootOf(channel)) return accept(this.channel.readMissed(wanted));
    for (let tries = 0; tries < MAX_TRIES; ) {
      if (this.upstream.positionOf(channel) === void 0) await this.#locate(channel);
      else if (await this.#catchUp.readMissed(channel, this.upstream, wanted, accept)) return;
      else tries += 1;
    }
    throw new Unreachable("too much is announced meanwhile");
  }
  /** The position after which a subscription that begins now continues; undefined if it isn't known. */
  positionOf(channel) {
    return this.#isRootOf(channel) ? this.channel.locate() : this.upstream.positionOf(channel);
  }
  /**
   * Finds out this object's position in a channel, and links it if need be. As with `Upstream.join`, callers have to
   * check whether that still holds.
   * @throws Unreachable if the channel can't be linked
   */
  #locate(channel) {
    if (this.upstream.isLinked(channel)) this.upstream.doubt(channel);
    return this.upstream.join(channel);
  }
  /** Retains a channel's position for a connection that counted on from it and has left. */
  retainPosition(channel) {
    if (this.#isRootOf(channel)) this.channel.history?.retainPosition();
  }
  /** Whether clients or linked objects count on from this object's position. The root of `all` never forgets its own. */
  get #isCounted() {
    return this.#own === EVERYONE || this.downstream.size > 0 || this.#parts.connections.isCounted(this.#own);
  }
  // --- links
  /** Whether messages of a channel are received here. */
  isLive(channel) {
    return this.#isRootOf(channel) || this.upstream.isLinked(channel);
  }
  /**
   * Whether another object may rely on this one for its own channel without this one asking its parent first.
   * @param vouched the epoch of the link that the parent has vouched for to the other object
   */
  isVouchedFor(vouched) {
    return this.#isRootOf(this.#own) || this.upstream.isVouchedFor(this.#own, vouched);
  }
  /** Confirms the link to this object's own channel, so that others may rely on it. */
  async confirmOwn() {
    this.upstream.doubt(this.#own);
    while (!this.isLive(this.#own)) await this.upstream.join(this.#own);
  }
  needs(channel) {
    if (channel === this.#own && this.downstream.size > 0) return true;
    const { connections } = this.#parts;
    if (channel === EVERYONE) return connections.size > 0;
    return connections.subscribers(channel) > 0 || this.#catchUp.isPending(channel);
  }
  /** Ends the link to a channel if this object no longer needs it. */
  leaveIfUnneeded(channel) {
    if (!this.#isRootOf(channel) && !this.needs(channel)) this.upstream.leave(channel);
  }
  takeCounters(channel) {
    return channel === EVERYONE ? this.#parts.counters.takeReport() : void 0;
  }
  /** The link of an object has ended. */
  #unlinked(object) {
    if (this.capacity.isChild(object)) this.capacity.remove(object);
    this.leaveIfUnneeded(this.#own);
    if (this.downstream.size === 0) this.channel.history?.retainPosition();
    this.capacity.report("links");
  }
  /** Whether every connection here receives `all`. */
  get hasEveryone() {
    return !this.needs(EVERYONE) || this.isLive(EVERYONE);
  }
  /** Links this object to `all` if its connections need it; undefined if they don't. Never rejects. */
  joinEveryone() {
    if (this.hasEveryone) return void 0;
    const joined = this.upstream.join(EVERYONE).then(
      () => this.#parts.revokedTokens.linked(),
      () => this.#parts.outage.goOn()
    );
    this.#parts.runtime.keep(joined);
    return joined;
  }
  // --- upkeep
  /** Deletes expired messages. */
  expire() {
    this.channel.history?.expire(this.#isCounted);
    this.downstream.trim();
  }
  /**
   * Persists the state of channel and links.
   * @returns whether storage or an attachment has all of it
   */
  settle() {
    const isSettled = this.downstream.settle(this.#isCounted);
    if (!isSettled) this.downstream.flush();
    this.upstream.settle();
    return isSettled;
  }
  #isRootOf(channel) {
    return channel === this.#parts.runtime.name;
  }
};

// src/object/alarm.ts
var Alarm = class {
  #runtime;
  /** The alarm's time when all links were last known to be up to date; see `Schedule`. */
  rest;
  /** When the first token expires, in milliseconds since 1970; infinite if none does. */
  expiry = Number.POSITIVE_INFINITY;
  /** The earliest time for which storage refused to set the alarm; infinite if it refused none. */
  #refused = Number.POSITIVE_INFINITY;
  constructor(runtime) {
    this.#runtime = runtime;
  }
  /** Sets the alarm for when the first token expires, in milliseconds since 1970. */
  expireAt(time) {
    this.expiry = time;
    void this.due(time);
  }
  /** Sets the alarm for another time than `rest`, and soon enough to find out what a crash would leave unfinished. */
  mark() {
    const now = this.#runtime.now();
    const set = this.#runtime.alarmTime();
    if (set !== void 0 && set === this.rest) void this.#set(Math.min(set - 1, now + CRASH_CHECK));
    else void this.due(now + CRASH_CHECK);
  }
  /** Has the alarm go off at once; resolves with whether it will. */
  goOffNow() {
    return this.#ensure(this.#runtime.now());
  }
  /**
   * Sets the alarm for a time in milliseconds since 1970 or earlier, unless that is infinite.
   * @returns whether it is set, also for all times that storage refused before
   */
  async due(time) {
    const first = Math.min(time, this.#refused);
    return Number.isFinite(first) ? this.#ensure(first) : true;
  }
  async #ensure(time) {
    const set = this.#runtime.alarmTime();
    if (set !== void 0 && set <= time) {
      this.#refused = Number.POSITIVE_INFINITY;
      return true;
    }
    return this.#set(time === this.rest ? time - 1 : time);
  }
  async #set(time) {
    const isTaken = await this.#runtime.alarm(time);
    if (!isTaken) this.#refused = Math.min(this.#refused, time);
    else if (time <= this.#refused) this.#refused = Number.POSITIVE_INFINITY;
    return isTaken;
  }
};

// src/stats/polling.ts
var ALWAYS_POLLED = 10;
var CACHED_PER_OBJECT = 10;
function polling(poll, objectsOf, now) {
  let current = Promise.resolve();
  let next;
  let cached;
  const startNext = async () => {
    await current;
    next = void 0;
    const polled = poll();
    current = polled.catch(() => {
    });
    const result = await polled;
    const objects = objectsOf(result);
    if (objects > ALWAYS_POLLED) cached = { result, until: now() + objects * CACHED_PER_OBJECT };
    return result;
  };
  return () => {
    if (cached && now() < cached.until) return Promise.resolve(cached.result);
    next ??= startNext();
    return next;
  };
}

// src/tree/topology.ts
var MAX_LISTED = 1e3;
function describerOf({ runtime, connections, router }) {
  const { name } = runtime;
  const own = channelOf(name);
  const describeSelf = (channel, position) => {
    return { object: name, listeners: connections.subscribers(channel), position };
  };
  const describeBelow = async (object) => {
    const part = await runtime.call(object, "describe", { channel: own }).catch(() => void 0);
    const [first] = part?.objects ?? [];
    if (first) {
      first.parent = name;
      first.position ??= router.downstream.linkTo(object)?.acknowledged;
    }
    return part;
  };
  const describeOwn = async () => {
    const { position, history } = router.channel;
    const self = describeSelf(own, position);
    const below = await Promise.all([...router.downstream.objects].map(describeBelow));
    const objects = [self, ...below.flatMap((part) => part?.objects ?? [])];
    const omitted = below.reduce((sum, part) => sum + (part?.omitted ?? 0), 0);
    return {
      objects: objects.slice(0, MAX_LISTED),
      omitted: omitted + Math.max(0, objects.length - MAX_LISTED),
      unreachable: below.reduce((sum, part) => sum + (part?.unreachable ?? 1), 0),
      kept: history?.retained
    };
  };
  const poll = polling(describeOwn, ({ objects, omitted }) => objects.length + omitted, runtime.now);
  return async (channel) => {
    if (channel === own) return poll();
    return { objects: [describeSelf(channel, router.positionOf(channel))], omitted: 0, unreachable: 0 };
  };
}

// src/object/channel-list.ts
function listerOf(parts) {
  const { runtime, router } = parts;
  return async (request) => {
    const below = channelOf(runtime.name) === EVERYONE ? [...router.downstream.objects] : [];
    const asked = below.map((object) => runtime.call(object, "channels", request).catch(() => void 0));
    const answers = await Promise.all(asked);
    const lists = answers.flatMap((answer) => answer?.channels ?? []);
    return {
      channels: merged([...ownChannels(parts, request), ...lists]).slice(0, request.limit),
      unreachable: answers.reduce((sum, answer) => sum + (answer?.unreachable ?? 1), 0)
    };
  };
}
function ownChannels(parts, { prefix, after, limit }) {
  const { connections, presence, authority, runtime } = parts;
  const subject = subjectOf(runtime.name);
  const entered = new Set(presence.channels);
  const names = /* @__PURE__ */ new Set([...connections.subscriptions.channels, ...entered]);
  if (authority && authority.size > 0 && subject !== void 0) names.add(subject);
  const listed = [...names].filter((name) => name.startsWith(prefix) && name > after).sort();
  return listed.slice(0, limit).map((channel) => ({
    channel,
    subscribers: connections.subscribers(channel),
    hasMembers: entered.has(channel),
    ...channel === runtime.name && { position: parts.router.channel.position },
    ...channel === subject && authority && { members: authority.size }
  }));
}
function merged(entries) {
  const byName = /* @__PURE__ */ new Map();
  for (const entry of entries) {
    const known = byName.get(entry.channel);
    byName.set(entry.channel, known ? sumOf2(known, entry) : entry);
  }
  return [...byName.values()].sort((a, b) => a.channel < b.channel ? -1 : 1);
}
function sumOf2(one, other) {
  return {
    channel: one.channel,
    subscribers: one.subscribers + other.subscribers,
    hasMembers: one.hasMembers || other.hasMembers,
    position: one.position ?? other.position,
    members: one.members ?? other.members
  };
}

// src/object/call-handlers.ts
function handlersOf(parts) {
  return {
    ...linkHandlers(parts),
    ...announcementHandlers(parts),
    ...presenceHandlers(parts),
    ...serviceHandlers(parts)
  };
}
function linkHandlers(parts) {
  const { peers, schedule, router, drain, reporter } = parts;
  const { downstream, capacity, upstream } = router;
  const describe = describerOf(parts);
  return {
    async link(request) {
      schedule.note();
      const { from, region = "", still, vouched } = request;
      if (!still) peers.forget(from);
      if (!router.isVouchedFor(vouched)) await router.confirmOwn();
      if (capacity.isChild(from)) {
        if (!still) capacity.add(from, region);
      } else if (!still && !downstream.linkTo(from) && capacity.isFull("links")) {
        const { object: instead } = capacity.choose("links");
        return { instead, vouched: downstream.linkTo(instead)?.vouched };
      }
      const answer = downstream.link(request);
      capacity.report("links");
      return answer;
    },
    unlink(request) {
      schedule.note();
      downstream.unlink(request);
      if (request.counters) reporter.add(request.counters);
    },
    /** Answers when the messages have been sent on, so that later ones gather for the next call. */
    async deliver(delivery) {
      schedule.note();
      const answer = upstream.deliver(delivery);
      drain.flushIfLarge();
      await schedule.flushed;
      return answer;
    },
    fill(report) {
      capacity.note(report);
    },
    describe: ({ channel }) => describe(channel)
  };
}
function announcementHandlers({ schedule, router, drain, authority }) {
  const { channel } = router;
  const outdatedBy = batchNumbers();
  const checkAnnounced = () => assert(!authority, "only the server announces on a presence channel");
  const whenStored = async (answer) => {
    drain.flushIfLarge();
    if (channel.hasHistory) await schedule.flushed;
    return answer();
  };
  return {
    async forward(batch) {
      checkAnnounced();
      const newer = outdatedBy(batch);
      if (newer !== void 0) return { newer };
      schedule.note();
      const { keys, lines } = batch;
      const { position: before = 0 } = channel;
      if (keys) {
        const each = router.appendEachOnce(keys, lines);
        return whenStored(() => ({ before, positions: each.map((appended2) => appended2?.last) }));
      }
      const appended = router.append(batch);
      return whenStored(() => ({ before, last: appended.last }));
    },
    async announce(announcement) {
      checkAnnounced();
      schedule.note();
      return whenStored(router.announceHere(announcement));
    },
    recover: (missing) => channel.readMissed(missing)
  };
}
function presenceHandlers({ schedule, presence, authority }) {
  return {
    async present(report) {
      schedule.note();
      assert(authority !== void 0, "members are reported to the root of a presence channel");
      return authority.report(report);
    },
    restate(request) {
      schedule.note();
      presence.restate(request);
    },
    members() {
      assert(authority !== void 0, "the root of a presence channel is asked for members");
      return authority.members();
    }
  };
}
function serviceHandlers(parts) {
  const { schedule, reporter, clientLimit, revokedTokens, router, authority } = parts;
  return {
    revoke({ sub }) {
      schedule.note();
      return revokedTokens.revoke(sub);
    },
    revoked({ revocations }) {
      schedule.note();
      return revokedTokens.apply(revocations);
    },
    channels: listerOf(parts),
    summary: () => ({ position: router.channel.position, members: authority?.size }),
    revocations: ({ after }) => ({ revocations: revokedTokens.listAfter(after) }),
    claim(claim) {
      schedule.note();
      return clientLimit?.claim(claim) ?? claim.wanted;
    },
    recount() {
      schedule.note();
      clientLimit?.recount();
    },
    figures: ({ seed }) => reporter.figures(seed),
    serviceFigures() {
      schedule.note();
      return reporter.serviceFigures();
    },
    tally(totals) {
      schedule.note();
      reporter.tally(totals);
    }
  };
}

// src/object/claims.ts
var TOLD = "told";
var Claims = class {
  #parts;
  #claim;
  #held = 0;
  /** The number of connections that the root of `all` knows; NaN while that is unknown. */
  #known = 0;
  #newest = 0;
  #pending = [];
  #isAsking = false;
  /** @param claim claims at the root of `all`, and resolves with how many of the wanted connections are granted */
  constructor(parts, claim) {
    this.#parts = parts;
    this.#claim = claim;
  }
  /** @param held connections that hibernated with this object */
  start(held) {
    this.#held = held;
    this.#known = rowOf(this.#parts.runtime.store.get(TOLD), isNumber) ?? 0;
    this.#report();
  }
  /** Claims one more connection. While the root of `all` doesn't answer, it is admitted. */
  admit() {
    return new Promise((resolve) => {
      this.#pending.push(resolve);
      this.#report();
    });
  }
  /** Releases the claim of an admitted connection. */
  release() {
    this.#held -= 1;
    this.#report();
  }
  /** Claims all connections again, whatever the root of `all` knows. */
  recount() {
    this.#known = Number.NaN;
    this.#report();
  }
  /** Tells the root of `all` what it doesn't know. */
  #report() {
    if (this.#isAsking || this.isKnown) return;
    this.#isAsking = true;
    this.#parts.runtime.keep(this.#untilKnown());
  }
  /** Whether the root of `all` knows all claims. */
  get isKnown() {
    return this.#pending.length === 0 && this.#known === this.#held;
  }
  async #untilKnown() {
    await void 0;
    try {
      while (!this.isKnown) await retry(this.#parts.runtime, () => this.#claimAll());
    } catch {
      this.#admit(this.#pending.splice(0), Number.POSITIVE_INFINITY);
      this.#parts.outage.goOn();
    } finally {
      this.#isAsking = false;
    }
  }
  async #claimAll() {
    this.#newest = Math.max(this.#newest + 1, this.#parts.runtime.now());
    const wanted = this.#pending.length;
    const claim = { from: this.#parts.runtime.name, number: this.#newest, held: this.#held, wanted };
    this.#known = Number.NaN;
    const granted = await this.#claim(claim);
    this.#known = claim.held + granted;
    if (this.#known === 0) this.#parts.runtime.store.delete(TOLD);
    else this.#parts.runtime.store.put(TOLD, this.#known);
    this.#admit(this.#pending.splice(0, wanted), granted);
  }
  #admit(pending, granted) {
    this.#held += Math.min(pending.length, granted);
    for (const [i, answer] of pending.entries()) answer(i < granted);
  }
};

// src/object/quota.ts
var HELD = "held:";
var Quota = class {
  #runtime;
  #limit;
  #recount;
  /** By object. */
  #held = /* @__PURE__ */ new Map();
  #total = 0;
  #isRecounting = false;
  /** @param recount makes an object claim its connections again */
  constructor(runtime, limit, recount) {
    this.#runtime = runtime;
    this.#limit = limit;
    this.#recount = recount;
  }
  /** Restores what objects have claimed. */
  start() {
    for (const [key, value] of this.#runtime.store.list(HELD)) {
      const connections = rowOf(value, isNumber) ?? 0;
      this.#held.set(key.slice(HELD.length), { connections, number: 0 });
      this.#total += connections;
    }
  }
  /** Notes the connections of an object; returns how many of the wanted ones are granted. */
  claim({ from, number, held, wanted }) {
    const known = this.#held.get(from) ?? { connections: 0, number: 0 };
    if (number <= known.number) return 0;
    const room = Math.max(0, this.#limit - (this.#total - known.connections) - held);
    const granted = Math.min(wanted, room);
    this.#note(from, { connections: held + granted, number });
    if (granted < wanted && !this.#isRecounting) this.#runtime.keep(this.#recountAny());
    return granted;
  }
  /** Asks a random object to claim again: it may have crashed and lost connections. */
  async #recountAny() {
    const objects = [...this.#held.keys()];
    const object = objects[Math.floor(this.#runtime.random() * objects.length)];
    if (object === void 0) return;
    this.#isRecounting = true;
    await this.#recount(object).catch(() => {
    });
    this.#isRecounting = false;
  }
  #note(object, entry) {
    const { store } = this.#runtime;
    this.#total += entry.connections - (this.#held.get(object)?.connections ?? 0);
    if (entry.connections > 0) {
      this.#held.set(object, entry);
      store.put(HELD + object, entry.connections);
    } else {
      this.#held.delete(object);
      store.delete(HELD + object);
    }
  }
};

// src/object/client-limit.ts
var ClientLimit = class extends Claims {
  #parts;
  /** Only at the root of `all`. */
  #quota;
  constructor(parts) {
    const { runtime, limits } = parts;
    const claim = async (claim2) => this.#quota ? this.claim(claim2) : runtime.call(EVERYONE, "claim", claim2);
    super(parts, claim);
    this.#parts = parts;
    if (runtime.name !== EVERYONE) return;
    this.#quota = new Quota(runtime, limits.clientLimit, async (object) => {
      if (object === runtime.name) this.recount();
      else await runtime.call(object, "recount", void 0);
    });
  }
  /** Restores what the root of `all` knows, and claims the connections that hibernated. */
  start(held) {
    this.#quota?.start();
    super.start(held);
  }
  /** At the root of `all`: returns how many of the wanted connections are granted to an object. */
  claim(claim) {
    const granted = this.#quota?.claim(claim) ?? claim.wanted;
    this.#parts.counters.count("rejected", claim.wanted - granted);
    return granted;
  }
};

// src/stats/info.ts
var SOCKETS_OF_AN_OBJECT = 32768;
function formatInfo(figures, clientLimit, now) {
  const rows = [["uptime", formatDuration(now - figures.since)], ...rowsOf(figures, clientLimit)];
  return rows.map(([key, value]) => formatFigure(key, value)).join("");
}
function rowsOf(figures, clientLimit) {
  const { totals } = figures;
  return [
    ["client-limit", clientLimit],
    ["limit rejected connections", totals.rejected],
    ["rlimits", `Soft=${SOCKETS_OF_AN_OBJECT} Hard=${SOCKETS_OF_AN_OBJECT}`],
    ["max connections", figures.peak],
    ["current connections", figures.connections],
    ["current channels", figures.channels],
    ["current subscriptions", figures.subscriptions],
    ["user-requested subscriptions", figures.requested],
    ["total connections", totals.connections],
    ["total announcements", totals.announcements],
    ["total messages", totals.messages],
    ["total subscribes", totals.subscribes],
    ["total unsubscribes", totals.unsubscribes],
    ["total pings", totals.pings],
    ["objects", figures.objects],
    ["unreachable objects", figures.unreachable]
  ];
}
function formatDuration(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1e3));
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  return `${Math.floor(hours / 24)}d ${hours % 24}h ${minutes % 60}m ${seconds % 60}s`;
}

// src/stats/service.ts
var isServiceRow = shape({
  /** Milliseconds since 1970. */
  since: isNumber,
  /** An estimate of the most connections at one time. */
  peak: isNumber,
  /** Counters of objects that have unlinked. */
  totals: isTotals
});
var SERVICE = "service";
var Service = class {
  #store;
  #row = { since: 0, peak: 0, totals: noTotals() };
  constructor(store) {
    this.#store = store;
  }
  /** Restores the row; a service without one was first used `now`, in milliseconds since 1970. */
  start(now) {
    this.#row = rowOf(this.#store.get(SERVICE), isServiceRow) ?? { ...this.#row, since: now };
  }
  /** Records that the service is in use, and updates its peak. */
  note(connections) {
    if (connections <= this.#row.peak && this.#store.get(SERVICE) !== void 0) return;
    this.#row.peak = Math.max(this.#row.peak, connections);
    this.#write();
  }
  /** Adds the counters of an object that has unlinked, while other objects had `others` connections. */
  add({ totals, peak }, others) {
    this.#row.totals = sumOf(this.#row.totals, totals);
    this.#row.peak = Math.max(this.#row.peak, peak + others);
    this.#write();
  }
  /** Returns the figures of the whole service, from the sum of all linked objects. */
  figures(linked) {
    this.note(linked.peak);
    const { since, peak, totals } = this.#row;
    return {
      ...linked,
      since,
      peak,
      totals: sumOf(totals, linked.totals),
      channels: countByHashes(linked.channels)
    };
  }
  #write() {
    this.#store.put(SERVICE, this.#row);
  }
};

// src/object/reporter.ts
var Reporter = class {
  #parts;
  /** Returns the figures of the whole service. Only the root of `all` has them. */
  serviceFigures;
  /** Only at the root of `all`. */
  #service;
  /** The seed of the hashes of channel names, while this object is in memory. */
  #seed;
  constructor(parts) {
    this.#parts = parts;
    const { name, store, now, random } = parts.runtime;
    if (name === EVERYONE) this.#service = new Service(store);
    const objectsOf = ({ objects, unreachable }) => objects + unreachable;
    const poll = async () => {
      if (!this.#service) throw new Error("only the root of `all` has the figures of the service");
      this.#seed ??= Math.floor(random() * 2 ** 32);
      return this.#service.figures(await this.figures(this.#seed));
    };
    this.serviceFigures = polling(poll, objectsOf, now);
  }
  /** Restores the service's figures. */
  start() {
    this.#service?.start(this.#parts.runtime.now());
  }
  /** Returns the lines that answer `info`. */
  async info() {
    const { runtime, limits } = this.#parts;
    const figures = await (this.#service ? this.serviceFigures() : runtime.call(EVERYONE, "serviceFigures", void 0));
    return formatInfo(figures, limits.clientLimit, runtime.now());
  }
  /** Returns this object's figures, in the tree of `all` with those of the objects linked to it. */
  async figures(seed) {
    const { runtime, router } = this.#parts;
    if (channelOf(runtime.name) !== EVERYONE) return this.#own(seed);
    const objects = [...router.downstream.objects];
    const asked = objects.map(async (object) => {
      const epoch = router.downstream.linkTo(object)?.epoch;
      return { object, epoch, figures: await runtime.call(object, "figures", { seed }) };
    });
    const outcomes = await Promise.allSettled(asked);
    const answered = outcomes.flatMap((outcome) => outcome.status === "fulfilled" ? [outcome.value] : []);
    const linked = answered.filter(({ object, epoch }) => epoch === router.downstream.linkTo(object)?.epoch);
    const figures = linked.map((answer) => answer.figures);
    return sumOfFigures(this.#own(seed), figures, objects.length - answered.length);
  }
  #own(seed) {
    const { connections, counters, peers, router, presence } = this.#parts;
    const { size, subscriptions } = connections;
    return {
      ...counters.figures(size),
      connections: size,
      subscriptions: subscriptions.count,
      requested: subscriptions.count - connections.subscribers(EVERYONE),
      channels: hashesOf(subscriptions.channels, seed),
      objects: size > 0 ? 1 : 0,
      unreachable: 0,
      deepest: peers.deepest,
      members: presence.size,
      kept: router.channel.history?.index.size ?? 0
    };
  }
  /** Adds the counters of an object that has unlinked. */
  add(report) {
    const { router, connections, counters } = this.#parts;
    if (this.#service) this.#service.add(report, router.downstream.size + connections.size);
    else counters.add(report.totals);
  }
  /** At the root of `all`: adds the counters of an object that isn't linked to it, or of a Worker. */
  tally(totals) {
    if (this.#service) this.#parts.counters.add(totals);
  }
  /** The last connection has closed. At the root of `all`, notes how many the service had; others report it. */
  emptied() {
    this.#service?.note(this.#parts.counters.takePeak() + this.#parts.router.downstream.size);
  }
  /** Stores counters that have changed, at intervals. */
  save() {
    if (this.#parts.connections.size > 0 || this.#service) this.#parts.counters.save();
  }
  /** Has counters outlive this time in memory. */
  settle() {
    const { runtime, connections, counters } = this.#parts;
    const report = this.#service || connections.size > 0 ? void 0 : counters.takeWorthwhile();
    if (report) runtime.keep(runtime.call(EVERYONE, "tally", report.totals).catch(() => {
    }));
    counters.settle();
    this.#service?.note(0);
  }
};

// src/auth/revocations.ts
var FRESH_FOR = 5e3;
var Revocations = class {
  #fetch;
  #now;
  #bySub = /* @__PURE__ */ new Map();
  /** The newest number of a fetched list. */
  #newest = 0;
  /** When the list was fetched, in milliseconds since 1970. */
  #fetched = 0;
  /** @param fetch returns the revocations whose number is higher than `after` */
  constructor(fetch, now) {
    this.#fetch = fetch;
    this.#now = now;
  }
  /** Fetches the newest revocations, unless that was done in the last seconds. @throws if they can't be fetched */
  async refresh() {
    const age = this.#now() - this.#fetched;
    if (age < 0 || age >= FRESH_FOR) await this.fetch();
  }
  /** Fetches the newest revocations. @throws if they can't be fetched */
  async fetch() {
    const began = this.#now();
    const revocations = await this.#fetch(this.#newest);
    this.add(revocations);
    for (const { number } of revocations) this.#newest = Math.max(this.#newest, number);
    this.#fetched = began;
  }
  /** Adds revocations; earlier ones may be missing still. */
  add(revocations) {
    const now = this.#now();
    for (const revocation of revocations) {
      const known = this.#bySub.get(revocation.sub);
      if (!known || known.number < revocation.number) this.#bySub.set(revocation.sub, revocation);
    }
    for (const [sub, { until }] of this.#bySub) if (until <= now) this.#bySub.delete(sub);
  }
  /** Whether the token of these grants is revoked. A token without `iat` counts as old. */
  isRevoked({ sub, iat = 0 }) {
    const revocation = sub === void 0 ? void 0 : this.#bySub.get(sub);
    return revocation !== void 0 && iat < revocation.before + 1;
  }
};

// src/object/revocations.ts
var ROW2 = "revoked:";
var MAX_REVOKED = 1e4;
var FOREVER = 10 * 365 * 24 * 36e5;
var CLOCK_TOLERANCE = 5;
var isRow2 = shape({
  before: isNumber,
  until: isNumber,
  number: isNumber,
  /** Whether some objects may not have it. */
  pending: isBoolean
});
var RevokedTokens = class {
  #parts;
  /** At the root of `all`, all revocations. */
  #revoked = /* @__PURE__ */ new Map();
  /** Those that some objects may not have. */
  #pending = [];
  /** The objects that didn't answer. */
  #unreachable = /* @__PURE__ */ new Set();
  #pendingRetry;
  #isRetrying = false;
  /** The revocations that this object has received. */
  #known;
  #refreshing;
  constructor(parts) {
    this.#parts = parts;
    this.#known = new Revocations((after) => this.#fetch(after), parts.runtime.now);
  }
  async #fetch(after) {
    if (this.#isRoot) return this.listAfter(after);
    return (await this.#parts.runtime.call(EVERYONE, "revocations", { after })).revocations;
  }
  get #isRoot() {
    return this.#parts.runtime.name === EVERYONE;
  }
  /** Restores the revocations at the root of `all`, and sends those again that were pending before a crash. */
  start() {
    const { kept } = this.#parts.connections;
    if (kept && "missesRevocations" in kept && kept.missesRevocations === true) this.linked();
    if (!this.#isRoot) return;
    for (const [key, value] of this.#parts.runtime.store.list(ROW2)) {
      const row = rowOf(value, isRow2);
      if (!row) continue;
      const { pending, ...revocation } = { ...row, sub: key.slice(ROW2.length) };
      this.#revoked.set(revocation.sub, revocation);
      if (pending) this.#pending.push(revocation);
    }
    if (this.#pending.length === 0) return;
    this.#parts.schedule.due(this.#parts.runtime.now() + CRASH_CHECK);
    this.#parts.runtime.keep(this.#send(this.#pending));
  }
  // --- at the root of `all`
  /**
   * Revokes the tokens of a subject; resolves when all reachable objects have closed its connections.
   * @throws Error if storage refuses that
   */
  async revoke(sub) {
    assert(this.#isRoot, "tokens are revoked at the root of `all`");
    const { runtime, guard, schedule } = this.#parts;
    const now = runtime.now();
    this.#expire(now);
    if (this.#revoked.size >= MAX_REVOKED && !this.#revoked.has(sub)) return { limit: MAX_REVOKED };
    const until = now + (guard?.maxSeconds === void 0 ? FOREVER : (guard.maxSeconds + CLOCK_TOLERANCE) * 1e3);
    const newest = Math.max(0, ...[...this.#revoked.values()].map(({ number }) => number));
    const revocation = { sub, before: Math.floor(now / 1e3), until, number: Math.max(newest + 1, now) };
    if (!this.#write(revocation, true)) throw new Error("the server's storage takes no more rows");
    this.#revoked.set(sub, revocation);
    this.#pending.push(revocation);
    schedule.due(now + CRASH_CHECK);
    const { objects, unreachable } = await this.#send([revocation]);
    return { revocation, objects, unreachable: unreachable.length };
  }
  /** Returns the revocations after a number. */
  listAfter(after) {
    this.#expire(this.#parts.runtime.now());
    return [...this.#revoked.values()].filter(({ number }) => number > after);
  }
  #write({ sub, ...revocation }, pending) {
    return this.#parts.runtime.store.put(ROW2 + sub, { ...revocation, pending });
  }
  /** Deletes revocations whose tokens have expired. */
  #expire(now) {
    for (const { sub, until } of this.#revoked.values()) {
      if (until <= now && this.#parts.runtime.store.delete(ROW2 + sub)) this.#revoked.delete(sub);
    }
  }
  /** Sends revocations to all objects, and retries those that don't answer. */
  async #send(revocations) {
    const answer = await this.apply(revocations);
    for (const object of answer.unreachable) this.#unreachable.add(object);
    this.#settle(revocations);
    return answer;
  }
  #settle(revocations) {
    if (this.#unreachable.size === 0) {
      for (const revocation of revocations) {
        if (this.#revoked.get(revocation.sub) === revocation) this.#write(revocation, false);
      }
      this.#pending = this.#pending.filter((pending) => !revocations.includes(pending));
      this.#pendingRetry = void 0;
      return;
    }
    this.#postpone();
  }
  /** When to call `proceed`, in milliseconds since 1970; infinite if nothing is due. */
  get dueAt() {
    const { runtime } = this.#parts;
    let dueAt = this.#pendingRetry ? retryAt(this.#pendingRetry, runtime.now()) : Number.POSITIVE_INFINITY;
    for (const { until } of this.#revoked.values()) dueAt = Math.min(dueAt, until);
    return dueAt;
  }
  /** Handles the alarm: retries objects that didn't answer, and deletes expired revocations. */
  proceed() {
    const { runtime } = this.#parts;
    this.#expire(runtime.now());
    if (this.#isRetrying || !this.#pendingRetry || !isDue(this.#pendingRetry, runtime.now())) return;
    if (!this.#isRoot) {
      this.linked();
      return;
    }
    this.#isRetrying = true;
    runtime.keep(this.#retry());
  }
  async #retry() {
    const revocations = [...this.#pending];
    const objects = [...this.#unreachable];
    const answer = await this.#call(objects, revocations);
    const isAll = this.#pending.every((pending) => revocations.includes(pending));
    if (isAll) for (const object of objects) this.#unreachable.delete(object);
    for (const object of answer.unreachable) this.#unreachable.add(object);
    this.#isRetrying = false;
    this.#settle(revocations);
  }
  // --- everywhere
  /** Closes the connections of revoked tokens, here and at the objects below this one in the tree of `all`. */
  async apply(revocations) {
    const { runtime, router } = this.#parts;
    this.#known.add(revocations);
    this.#close();
    const below = channelOf(runtime.name) === EVERYONE ? [...router.downstream.objects] : [];
    const { objects, unreachable } = await this.#call(below, revocations);
    return { objects: objects + 1, unreachable };
  }
  async #call(objects, revocations) {
    const { runtime } = this.#parts;
    const answers = await Promise.all(
      objects.map(
        (object) => retry(runtime, () => runtime.call(object, "revoked", { revocations })).catch(() => void 0)
      )
    );
    const reached = answers.filter((answer) => answer !== void 0);
    return {
      objects: reached.reduce((sum, answer) => sum + answer.objects, 0),
      unreachable: [
        ...objects.filter((_, i) => answers[i] === void 0),
        ...reached.flatMap(({ unreachable }) => unreachable)
      ]
    };
  }
  #close() {
    this.#parts.tokens.closeRevoked((grants) => this.#known.isRevoked(grants));
  }
  /** Whether a token is revoked by any revocation that this object has received. */
  isRevoked(grants) {
    return this.#known.isRevoked(grants);
  }
  /** Requests new revocations. Without an answer from the root of `all`, the known ones count. */
  async refresh() {
    this.#refreshing ??= this.#known.refresh().catch(() => {
    }).finally(() => {
      this.#refreshing = void 0;
    });
    await this.#refreshing;
  }
  /** This object has linked to `all`, and may have missed revocations before that. */
  linked() {
    const hasSubjects = [...this.#parts.connections].some(({ grants }) => grants?.sub !== void 0);
    if (!hasSubjects || this.#isRoot) return;
    this.#parts.runtime.keep(this.#catchUp());
  }
  /** Requests missed revocations, and retries that by the alarm; the note of that survives hibernation. */
  async #catchUp() {
    const { runtime, connections } = this.#parts;
    try {
      await retry(runtime, () => this.#known.fetch());
      if (connections.kept && "missesRevocations" in connections.kept)
        connections.keep({ missesRevocations: void 0 });
      this.#pendingRetry = void 0;
      this.#close();
    } catch {
      connections.keep({ missesRevocations: true });
      this.#postpone();
    }
  }
  #postpone() {
    const { runtime, schedule } = this.#parts;
    this.#pendingRetry ??= { since: runtime.now(), next: void 0 };
    postpone(this.#pendingRetry, runtime.now());
    schedule.due(this.dueAt);
    schedule.stay();
  }
};

// src/object/activity.ts
var SETTLE_AFTER = 1e3;
var Activity = class {
  #parts;
  /** The number of events so far. */
  count = 0;
  /** Events, and changes by work that outlasts its event. */
  #changes = 0;
  /** When the last change was, in milliseconds since 1970. */
  #last = 0;
  #isTiming = false;
  constructor(parts) {
    this.#parts = parts;
  }
  /** Notes an event. The object stays in memory, and settles when nothing has changed for a second. */
  note() {
    this.count += 1;
    this.stay();
  }
  /** Notes a change that no event caused. */
  stay() {
    this.#changes += 1;
    this.#last = this.#parts.runtime.now();
    if (this.#isTiming) return;
    this.#isTiming = true;
    this.#wait(SETTLE_AFTER);
  }
  #wait(milliseconds) {
    const { runtime, upkeep } = this.#parts;
    const before = this.#changes;
    const since = runtime.now();
    runtime.after(milliseconds, () => {
      const stays = upkeep.passed(runtime.now() - since);
      if (stays || before !== this.#changes) {
        const quiet = runtime.now() - this.#last;
        this.#wait(stays ? SETTLE_AFTER : Math.max(1, SETTLE_AFTER - quiet));
        return;
      }
      this.#isTiming = false;
      upkeep.settle();
    });
  }
};

// src/object/schedule.ts
var QUIET_TURNS = 2;
var MAX_TURNS = 64;
var MANY_SOCKETS = 250;
var ObjectSchedule = class extends Activity {
  #parts;
  #isFlushDue = false;
  flushed = Promise.resolve();
  /** Settles when other events could come in after a large flush. */
  #rest;
  constructor(parts) {
    super(parts);
    this.#parts = parts;
  }
  flush() {
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    this.flushed = this.#flushWhenQuiet();
    this.#parts.runtime.keep(this.flushed);
  }
  /** Sends even if waiting fails, so that the next flush can begin. */
  async #flushWhenQuiet() {
    const { connections, drain, pace } = this.#parts;
    try {
      await this.#rest;
      await this.#untilQuiet();
    } finally {
      const areMany = connections.due >= MANY_SOCKETS;
      this.#isFlushDue = false;
      while (!drain.send()) await drain.makeRoom();
      if (areMany) this.#rest = pace.admitEvents();
    }
  }
  /**
   * Turns the event loop until no new event comes in. A frame costs the same however many lines it has, so sending once
   * pays. A turn costs about as much as a send, so there are at most a quarter as many turns as sockets to send to. If
   * events still come in, the object is flooded: the runtime gets one chance to deliver all queued events, so that no
   * flood delays the flush for long.
   */
  async #untilQuiet() {
    const { runtime } = this.#parts;
    let quiet = 0;
    for (let turn = 0, seen = this.count; quiet < QUIET_TURNS && turn < this.#maxTurns; turn++) {
      await runtime.turn();
      quiet = seen === this.count ? quiet + 1 : 0;
      seen = this.count;
    }
    if (quiet < QUIET_TURNS) await runtime.sleep(0);
  }
  get #maxTurns() {
    return Math.min(MAX_TURNS, Math.max(QUIET_TURNS, this.#parts.connections.due >> 2));
  }
  due(at) {
    void this.#parts.alarm.due(at);
  }
  mark() {
    this.#parts.alarm.mark();
    this.stay();
  }
  get rest() {
    return this.#parts.alarm.rest;
  }
  set rest(time) {
    this.#parts.alarm.rest = time;
  }
};

// src/object/upkeep.ts
var Upkeep = class {
  #parts;
  constructor(parts) {
    this.#parts = parts;
  }
  /**
   * Handles the alarm: continues the work that a crash or an unreachable object left unfinished,
   * closes expired connections and deletes expired messages. The alarm is set again first, as a crash may follow.
   */
  alarmed() {
    const { runtime, alarm, schedule, router, tokens, outage, clientLimit, presence, authority, revokedTokens } = this.#parts;
    tokens.closeExpired();
    tokens.start();
    authority?.alarmed();
    this.#setAlarm();
    const { mayAsk } = outage;
    if (mayAsk && clientLimit?.isKnown === false) clientLimit.recount();
    const joined = mayAsk ? router.joinEveryone() : void 0;
    router.expire();
    if (router.downstream.isBusy) {
      alarm.mark();
      schedule.flush();
    }
    router.downstream.reportLosses();
    router.upstream.unlinks.retry();
    presence.retry();
    revokedTokens.proceed();
    if (joined || router.channel.hasHistory || runtime.alarmTime() !== void 0) schedule.note();
  }
  passed(milliseconds) {
    const { counters, reporter, router, lifecycle, authority } = this.#parts;
    const isAsking = authority?.proceed() ?? false;
    counters.note("awake", milliseconds);
    reporter.save();
    const isAwaited = router.upstream.loseOverdue();
    return lifecycle.closeUnread() || isAwaited || isAsking;
  }
  /**
   * Persists the object's state. The alarm goes first, because rows record its time; the counters go last, because they
   * count rows. When nothing is due, releases empty storage, and the alarm with it.
   */
  settle() {
    const { runtime, alarm, schedule, connections, router, reporter, presence } = this.#parts;
    if (connections.size === 0) alarm.expireAt(Number.POSITIVE_INFINITY);
    const dueAt = this.#setAlarm();
    if (!router.settle()) schedule.stay();
    presence.settle();
    reporter.settle();
    if (!Number.isFinite(dueAt)) runtime.store.release();
    runtime.keep(runtime.store.sync());
  }
  /**
   * Sets the alarm for the earliest due time. If storage refuses that while links are lost or members are about to leave, keeps the object in memory,
   * because the alarm alone would report that.
   * @returns when something is due, in milliseconds since 1970; infinite if nothing is
   */
  #setAlarm() {
    const { runtime, peers, alarm, schedule, router, outage, clientLimit, presence, authority, revokedTokens } = this.#parts;
    const { downstream, upstream } = router;
    if (router.hasEveryone && clientLimit?.isKnown !== false) outage.end();
    else outage.begin();
    const callsAt = peers.hasDeferred ? runtime.now() : Number.POSITIVE_INFINITY;
    const linksAt = Math.min(downstream.lossReportAt, upstream.unlinks.dueAt);
    const membersAt = Math.min(presence.dueAt, authority?.dueAt ?? Number.POSITIVE_INFINITY);
    const dueAt = Math.min(alarm.expiry, outage.askAgainAt, linksAt, callsAt, membersAt, revokedTokens.dueAt);
    void alarm.due(dueAt).then((isSet) => {
      if (!isSet && Number.isFinite(Math.min(downstream.lossReportAt, membersAt))) schedule.stay();
    });
    return dueAt;
  }
};

// src/object/wiring.ts
var Parts = class {
  limits;
  guard;
  runtime;
  alarm;
  peers;
  schedule;
  connections;
  counters;
  outage;
  router;
  /** Undefined if the number of connections is unlimited. */
  clientLimit;
  reporter;
  /** Only at the root of a presence channel. */
  authority;
  presence;
  lifecycle = new Lifecycle(this);
  tokens = new Tokens(this);
  revokedTokens;
  pace = new Pace(this);
  drain = new Drain(this);
  commands = new Commands(this);
  upkeep = new Upkeep(this);
  inbox;
  handlers;
  /** @param guard undefined on a server without tokens */
  constructor(raw, sockets, limits, guard) {
    this.limits = limits;
    this.guard = guard;
    this.counters = new Counters(this, operatorLog(raw));
    const note = this.counters.note.bind(this.counters);
    const counting = countingRows(raw, note);
    this.alarm = new Alarm(counting);
    this.peers = new Peers(counting, this.alarm, note);
    this.runtime = { ...counting, call: (...call) => this.peers.call(...call) };
    this.schedule = new ObjectSchedule(this);
    this.connections = new Connections(sockets, limits, raw.now, this.schedule);
    this.outage = new Outage(this);
    this.router = new Router(this);
    if (limits.clientLimit > 0) this.clientLimit = new ClientLimit(this);
    this.reporter = new Reporter(this);
    if (subjectOf(raw.name) !== void 0 && parentOf(raw.name) === void 0) this.authority = new Authority(this);
    this.presence = new Presence(this);
    this.revokedTokens = new RevokedTokens(this);
    this.inbox = new Inbox(this.commands, limits, raw.now);
    this.handlers = handlersOf(this);
  }
  /** Restores the state in storage and in attachments. */
  start() {
    this.connections.start();
    this.tokens.start();
    this.counters.start();
    this.outage.start();
    this.router.start();
    this.clientLimit?.start(this.connections.size);
    this.reporter.start();
    this.authority?.start();
    this.presence.start();
    this.revokedTokens.start();
  }
};

// src/object/broker.ts
var FRESH = 1;
var UPGRADE = 2;
var Broker = class {
  #parts;
  /** @param guard undefined on a server without tokens */
  constructor(raw, sockets, limits, guard) {
    this.#parts = new Parts(raw, sockets, limits, guard);
  }
  /** Restores the object's state, closes connections that the current settings no longer admit, and returns the broker. */
  start() {
    this.#parts.start();
    this.#parts.tokens.closeOutdated();
    return this;
  }
  /** Returns where the next connection should go; undefined for here. See `Capacity.placementFor`. */
  placementFor(region, full, below) {
    return this.#parts.router.capacity.placementFor(region, full, below);
  }
  /**
   * Accepts a connection.
   * @param region where its client is, as a location hint of the platform; "" if unknown
   * @param grants what its token grants; undefined on a server without tokens
   * @param from where in its channel it continues
   */
  opened(socket, region = "", grants, from) {
    this.#event(UPGRADE);
    this.#parts.router.upstream.region ||= region;
    const connection = this.#parts.connections.accept(socket, grants);
    if (grants) this.#parts.tokens.watch(grants);
    if (grants && this.#parts.revokedTokens.isRevoked(grants)) {
      this.#parts.lifecycle.close(connection, "revoked", REVOKED);
      return;
    }
    const resume = from && ((channel) => this.#parts.commands.resume(connection, channel, from));
    this.#keep(this.#parts.inbox.begin(connection, this.#parts.lifecycle.greet(connection, resume)));
    this.#parts.router.capacity.report("sockets");
  }
  /** Receives a frame of a client. */
  received(socket, frame) {
    this.#event(FRESH);
    const connection = this.#parts.connections.of(socket);
    if (connection) this.#keep(this.#parts.inbox.receive(connection, frame));
    this.#parts.drain.flushIfLarge();
  }
  /** Forgets a socket that has closed. */
  closed(socket) {
    this.#event(FRESH);
    this.#parts.lifecycle.socketClosed(socket);
    this.#parts.router.capacity.report("sockets");
  }
  /** Handles the alarm. */
  alarmed() {
    this.#parts.peers.arrived(FRESH);
    this.#parts.upkeep.alarmed();
  }
  /**
   * Answers a call from another object.
   * @param hop the depth of this event
   */
  called(kind, ask, hop) {
    const { peers, tokens, handlers } = this.#parts;
    return peers.answer(hop, () => {
      tokens.closeExpired();
      return handlers[kind](ask);
    });
  }
  /** Notes an event of a client at a depth of `hop`. */
  #event(hop) {
    this.#parts.peers.arrived(hop);
    this.#parts.schedule.note();
    this.#parts.pace.begin();
    this.#parts.tokens.closeExpired();
  }
  /** Commands may be executed long after their event: what they change is settled then, too. */
  #keep(work) {
    if (work) this.#parts.runtime.keep(work.finally(() => this.#parts.schedule.stay()));
  }
};
export {
  Broker,
  CallFailed,
  TokenError,
  readLimits
};
