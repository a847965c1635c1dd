// The version before, kept by test/versions/keep.ts. Not to be changed by hand.

// src/auth/verify.ts
var TokenError = class extends Error {
};
var NoKeys = class extends Error {
};

// src/assert.ts
function assert(holds, what) {
  if (!holds) throw new Error(`this does not hold: ${what}`);
}

// src/links/rows.ts
function rowOf(value, is) {
  assert(value === void 0 || is(value), "storage has rows of the kind that was put there");
  return value;
}
function isNumber(value) {
  return typeof value === "number";
}
function isRecord(value) {
  return typeof value === "object" && value !== null;
}

// src/figures/totals.ts
function noTotals() {
  return {
    rejected: 0,
    connections: 0,
    announcements: 0,
    messages: 0,
    subscribes: 0,
    unsubscribes: 0,
    pings: 0
  };
}
function isTotals(value) {
  return isRecord(value) && Object.keys(noTotals()).every((counter) => isNumber(value[counter]));
}
function sumOf(one, other) {
  return {
    rejected: one.rejected + other.rejected,
    connections: one.connections + other.connections,
    announcements: one.announcements + other.announcements,
    messages: one.messages + other.messages,
    subscribes: one.subscribes + other.subscribes,
    unsubscribes: one.unsubscribes + other.unsubscribes,
    pings: one.pings + other.pings
  };
}
function sumOfFigures(own, answers, unreachable) {
  const all = { ...own, unreachable: own.unreachable + unreachable };
  const channels = new Set(own.channels);
  for (const { epoch, figures } of answers) {
    all.totals = sumOf(all.totals, figures.totals);
    if (figures.handover?.period === epoch)
      all.totals = sumOf(all.totals, figures.handover?.totals ?? noTotals());
    all.peak += figures.peak;
    all.connections += figures.connections;
    all.subscriptions += figures.subscriptions;
    all.requested += figures.requested;
    all.objects += figures.objects;
    all.unreachable += figures.unreachable;
    for (const channel of figures.channels) channels.add(channel);
  }
  return { ...all, channels: [...channels] };
}

// src/figures/counters.ts
function isCountedRow(row) {
  if (!isRecord(row) || !isNumber(row.revision) || !isTotals(row.totals) || !isNumber(row.peak)) return false;
  const { period, handover } = row;
  return (period === void 0 || isNumber(period)) && (handover === void 0 || isHandover(handover));
}
function isHandover(value) {
  return isRecord(value) && isNumber(value.period) && isTotals(value.totals) && isNumber(value.peak);
}
var COUNTED = "counted";
var SAVED_EACH = 6e4;
var Counters = class {
  #store;
  #keeper;
  #now;
  #counted;
  /** Whether storage does not have all of it. */
  #changed = false;
  /** When it was written to storage last, in milliseconds since 1970. */
  #saved;
  constructor({ store, now }, keeper) {
    this.#store = store;
    this.#keeper = keeper;
    this.#now = now;
    this.#saved = now();
    const row = rowOf(store.get(COUNTED), isCountedRow);
    const kept = isCountedRow(keeper.kept) ? keeper.kept : void 0;
    const nothing = { revision: 0, period: void 0, totals: noTotals(), peak: 0, handover: void 0 };
    this.#changed = kept !== void 0 && kept.revision > (row?.revision ?? 0);
    this.#counted = (this.#changed ? kept : row) ?? nothing;
  }
  /** The figures as they are to be told, with `connections` sockets held now. */
  figures(connections) {
    const { totals, handover, peak } = this.#counted;
    return { totals: { ...totals }, handover, peak: Math.max(peak, connections) };
  }
  count(counter, n = 1) {
    if (n === 0) return;
    this.#counted.totals[counter] += n;
    this.#changed = true;
  }
  /** Notes that `connections` sockets are held now. */
  holds(connections) {
    if (connections <= this.#counted.peak) return;
    this.#counted.peak = connections;
    this.#changed = true;
  }
  /** The most sockets that were held at one time; begins anew, with none. */
  takePeak() {
    const { peak } = this.#counted;
    this.#counted.peak = 0;
    if (peak > 0) this.#changed = true;
    return peak;
  }
  begin(period) {
    this.#counted.period = Math.max(period, this.#counted.period ?? 0);
    this.#write();
  }
  end(epoch) {
    const { period, totals, peak } = this.#counted;
    if (period === void 0 || period > epoch) return;
    this.#counted.handover = { period, totals, peak };
    this.#counted.period = void 0;
    this.#counted.totals = noTotals();
    this.#counted.peak = 0;
    this.#write();
  }
  get handover() {
    return this.#counted.handover;
  }
  handedOver({ period }) {
    if (this.#counted.handover?.period !== period) return;
    this.#counted.handover = void 0;
    this.#write();
  }
  /** Takes over the totals of an object whose link has ended. */
  takeOver({ totals }) {
    this.#counted.totals = sumOf(this.#counted.totals, totals);
    this.#write();
  }
  /** Writes the figures to storage if they have changed, and that was not done a short while ago. */
  save() {
    if (this.#changed && this.#now() >= this.#saved + SAVED_EACH) this.#write();
  }
  /** Has the figures outlive sleep. */
  settle() {
    this.save();
    if (!this.#changed) return;
    this.#counted.revision += 1;
    if (!this.#keeper.keep(this.#counted)) this.#write();
  }
  /** Storage holds nothing while there is nothing to remember. */
  #write() {
    this.#changed = false;
    this.#saved = this.#now();
    this.#counted.revision += 1;
    const { totals, handover, period } = this.#counted;
    const isEmpty = period === void 0 && !handover && Object.values(totals).every((total) => total === 0);
    if (isEmpty) this.#store.delete(COUNTED);
    else this.#store.put(COUNTED, this.#counted);
  }
};

// src/links/log.ts
var Log = class {
  #entries = [];
  #size = 0;
  #position;
  /** @param position of the newest message; undefined if this object has yet to learn it */
  constructor(position) {
    this.#position = position;
  }
  /** The newest message's; undefined while this object does not know where in the order it is. */
  get position() {
    return this.#position;
  }
  /** Characters that are kept. */
  get size() {
    return this.#size;
  }
  /** Gives messages the next positions, and keeps them; says the last one's. */
  append(lines, count) {
    const last = this.skip(count);
    this.#entries.push({ last, count, lines });
    this.#size += lines.length;
    return last;
  }
  /** The same, but keeps nothing. */
  skip(count) {
    assert(this.#position !== void 0, "who gives positions knows the one before");
    this.#position += count;
    return this.#position;
  }
  /** The messages after a position, at most `most` characters of them, but not nothing where there is something. */
  since(position, most) {
    const start = this.#entries.findLastIndex((entry) => entry.last <= position) + 1;
    let lines = "";
    let count = 0;
    for (let i = start; i < this.#entries.length; i++) {
      const entry = this.#entries[i];
      if (!entry || count > 0 && lines.length + entry.lines.length > most) break;
      lines += entry.lines;
      count += entry.count;
    }
    return { lines, count };
  }
  /** Drops the messages up to a position. */
  trim(position) {
    this.#dropUntil((entry) => entry.last > position);
  }
  /** Drops the oldest messages until at most `size` characters are kept; says after which position they are. */
  trimTo(size) {
    this.#dropUntil(() => this.#size <= size);
    const [oldest] = this.#entries;
    return oldest ? oldest.last - oldest.count : this.#position;
  }
  /** Goes on after a position, where this object has been told that it is. */
  begin(position) {
    this.clear();
    this.#position = position;
  }
  /** Forgets where in the order this object is. */
  lose() {
    this.clear();
    this.#position = void 0;
  }
  /** Drops every message. */
  clear() {
    this.#entries = [];
    this.#size = 0;
  }
  #dropUntil(enough) {
    let dropped = 0;
    for (const entry of this.#entries) {
      if (enough(entry)) break;
      this.#size -= entry.lines.length;
      dropped += 1;
    }
    if (dropped > 0) this.#entries = this.#entries.slice(dropped);
  }
};

// src/links/names.ts
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

// src/links/world.ts
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

// src/links/retry.ts
var ATTEMPTS = 5;
async function retry({ sleep }, attempt, goesOn = () => true) {
  for (let failures = 0; goesOn(); ) {
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
function backoff(failures) {
  return 50 * 4 ** (failures - 1);
}
function countFailure(failures, error) {
  if (!(error instanceof CallFailed)) return failures + 1;
  return error.why === "thrown" ? ATTEMPTS : Math.max(failures + 1, ATTEMPTS - 1);
}

// src/links/downstream.ts
var MAX_DELIVERY = 1e6;
function isLinkRow(row) {
  return isRecord(row) && isNumber(row.epoch) && typeof row.lost === "boolean";
}
function isOrderRow(row) {
  if (!isRecord(row) || typeof row.busy !== "boolean") return false;
  const { position, alarm } = row;
  return (position === void 0 || isNumber(position)) && (alarm === void 0 || isNumber(alarm));
}
var LINK = "downstream:";
var ORDER = "order";
var Downstream = class {
  /** This object's own channel's; whoever knows better sets its position. */
  log;
  #world;
  #maxBuffered;
  #events;
  #links = /* @__PURE__ */ new Map();
  #busy;
  /** What storage has under `order`. */
  #row;
  /**
   * Takes up from storage where an earlier life of this object ended. If that life ended in the
   * middle of deliveries, nobody knows what arrived: every link of it is lost.
   * @param maxBuffered characters that are kept for links which are behind
   */
  constructor(world, maxBuffered, events) {
    this.#world = world;
    this.#maxBuffered = maxBuffered;
    this.#events = events;
    const row = rowOf(world.store.get(ORDER), isOrderRow);
    this.#row = row;
    const alarm = world.alarmTime();
    this.#busy = row !== void 0 && (row.busy || alarm !== void 0 && alarm !== row.alarm);
    this.log = new Log((this.#busy ? void 0 : row?.position) ?? firstPosition(world));
    for (const [key, value] of world.store.list(LINK)) {
      const row2 = rowOf(value, isLinkRow);
      if (!row2) continue;
      const link = this.#add(key.slice(LINK.length), row2.epoch, row2.lost);
      if (this.#busy) this.#cutOff(link);
    }
  }
  /** Whether a crash now would leave links in doubt. */
  get isBusy() {
    return this.#busy;
  }
  /** The objects linked to this one. */
  get objects() {
    return this.#links.keys();
  }
  /** How many objects are linked to this one. */
  get size() {
    return this.#links.size;
  }
  /** The epoch of the link to `object`; undefined if there is none. */
  epochOf(object) {
    return this.#links.get(object)?.epoch;
  }
  /** The same of a link that `object` may count on. */
  vouchFor(object) {
    const link = this.#links.get(object);
    return link?.lost ? void 0 : link?.epoch;
  }
  /** Gives messages the next positions in the order, and says the last one's; `flush` sends them on. */
  append(lines, count) {
    if (this.#links.size === 0) return this.log.skip(count);
    if (!this.#busy) {
      this.#busy = true;
      this.#events.busy(this.#row?.alarm);
    }
    this.#events.due();
    const last = this.log.append(lines, count);
    if (this.log.size > this.#maxBuffered) this.#shorten(last);
    return last;
  }
  /** Takes over messages that a parent has sent, with the positions that they have. */
  relay(lines, count, after) {
    if (this.log.position === void 0) this.log.begin(after);
    assert(this.log.position === after, "what a parent sends goes on where this object is");
    this.append(lines, count);
  }
  /** Messages are missing from here on, for every link there is. */
  loseAll() {
    for (const link of this.#links.values()) if (!link.lost) this.#cutOff(link);
    this.log.lose();
    this.#writeOrder();
    this.flush();
  }
  /** Starts to send what each link is behind by. Returns at once. */
  flush() {
    for (const link of this.#links.values()) {
      if (!link.sending && this.#owes(link)) this.#world.keep(this.#send(link));
    }
  }
  /**
   * Links `from`, or finds it linked already; deliveries go on after the position answered.
   * @throws Error if storage does not take it
   */
  link({ from, epoch, handover, still }) {
    const known = this.#links.get(from);
    if (known && known.epoch > epoch) return { newer: known.epoch };
    if (known?.epoch === epoch) {
      if (still && still.last === void 0 && known.unsure) this.#cutOff(known);
      return known.lost ? { newer: epoch } : { after: known.acknowledged };
    }
    if (still) return { newer: epoch };
    if (known) this.#end(known, handover);
    assert(this.log.position !== void 0, "who is linked to knows where in the order it is");
    if (!this.#writeLink(from, { epoch, lost: false })) throw new Error("storage takes no more links");
    this.#add(from, epoch, false);
    if (!this.#row) this.#writeOrder();
    return { after: this.log.position };
  }
  /** Ends the link of `from`, unless it was asked for later than `epoch`. */
  unlink({ from, epoch, handover }) {
    const known = this.#links.get(from);
    if (!known || known.epoch > epoch) return;
    this.#end(known, handover);
    this.#events.ended(from);
  }
  /**
   * Notes in storage that every link has everything, if that is so.
   * @returns whether it is, so that nothing would be lost if this object left memory
   */
  settle() {
    for (const link of this.#links.values()) {
      if (link.unwritten) this.#cutOff(link);
      if (link.sending || link.unwritten || this.#owes(link) && !link.lost) return false;
    }
    this.#busy = false;
    this.#writeOrder();
    return true;
  }
  #add(object, epoch, lost) {
    const acknowledged = this.log.position ?? 0;
    const link = { object, epoch, acknowledged, unsure: false, lost, unwritten: false, sending: false };
    this.#links.set(object, link);
    return link;
  }
  #owes(link) {
    return link.lost || link.acknowledged < (this.log.position ?? 0);
  }
  /** Sends once, however often that has to be tried; what has come meanwhile goes with the next flush. */
  async #send(link) {
    link.sending = true;
    const isThere = () => this.#links.get(link.object) === link;
    const deliver = () => retry(this.#world, () => this.#deliver(link), isThere);
    const reached = await deliver().catch(() => {
      if (link.lost) return false;
      this.#cutOff(link);
      return deliver().catch(() => false);
    });
    link.sending = false;
    if (reached && isThere() && this.#owes(link)) this.#events.due();
  }
  async #deliver(link) {
    const delivery = this.#nextDelivery(link);
    try {
      this.#acknowledge(link, delivery, await this.#world.call(link.object, "deliver", delivery));
      return true;
    } catch (error) {
      if (!wasNotMade(error)) link.unsure = true;
      throw error;
    }
  }
  #nextDelivery({ epoch, acknowledged: after, unsure: again, lost }) {
    const { name: from } = this.#world;
    const messages = lost ? { lines: "", count: 0 } : this.log.since(after, MAX_DELIVERY);
    return { channel: channelOf(from), from, epoch, after, ...messages, again, lost };
  }
  #acknowledge(link, delivery, answer) {
    if (this.#links.get(link.object) !== link) return;
    if (answer.gone) {
      this.#end(link, answer.handover);
      this.#events.ended(link.object);
      return;
    }
    if (link.lost) return;
    link.unsure = false;
    link.acknowledged = delivery.after + delivery.count;
    if (!this.#owes(link) && this.#slowest() === link.acknowledged) this.log.clear();
  }
  /** What every link has, but for those that are lost. */
  #slowest() {
    let slowest = this.log.position ?? 0;
    for (const { lost, acknowledged } of this.#links.values()) {
      if (!lost) slowest = Math.min(slowest, acknowledged);
    }
    return slowest;
  }
  /** Drops what every link has; if that is not enough, cuts off the links that are furthest behind. */
  #shorten(last) {
    this.log.trim(this.#slowest());
    if (this.log.size <= this.#maxBuffered) return;
    const kept = this.log.trimTo(this.#maxBuffered / 2) ?? last;
    for (const link of this.#links.values()) {
      if (!link.lost && link.acknowledged < kept) this.#cutOff(link);
    }
  }
  #cutOff(link) {
    link.lost = true;
    link.unwritten = !this.#writeLink(link.object, { epoch: link.epoch, lost: true });
  }
  #end(link, handover) {
    this.#links.delete(link.object);
    this.#world.store.delete(LINK + link.object);
    if (handover?.period === link.epoch) this.#events.handover(handover);
    if (this.#links.size > 0) return;
    this.log.clear();
    this.#busy = false;
    this.#row = void 0;
    this.#world.store.delete(ORDER);
  }
  #writeLink(object, row) {
    return this.#world.store.put(LINK + object, row);
  }
  /** Writes what is to be known of the order, unless storage has it. */
  #writeOrder() {
    if (this.#links.size === 0) return;
    const row = { position: this.log.position, busy: this.#busy, alarm: this.#world.alarmTime() };
    if (this.#row && isSame(this.#row, row)) return;
    if (this.#world.store.put(ORDER, row)) this.#row = row;
  }
};
function isSame(row, other) {
  if (row.position !== other.position || row.busy !== other.busy) return false;
  return other.alarm === void 0 || other.alarm === row.alarm;
}
function firstPosition({ name, now }) {
  return parentOf(name) === void 0 ? now() * 1e3 : void 0;
}

// src/links/forwarding.ts
var MOST_BUFFERED = 8e6;
var QueueFull = class extends Error {
};
var Forwarding = class {
  #world;
  #maxBuffered;
  /** Of the channels to which something is on its way. */
  #queues = /* @__PURE__ */ new Map();
  /** Characters of what waits or is under way, to whichever channel. */
  #buffered = 0;
  #newest = 0;
  /** @param maxBuffered characters that may wait for one channel's object */
  constructor(world, maxBuffered) {
    this.#world = world;
    this.#maxBuffered = maxBuffered;
  }
  /**
   * Has messages, formatted as lines, get neighbouring positions in the order of `channel`.
   * A call that failed is not repeated, as nobody knows whether it was carried out.
   * @returns the position of the last one
   * @throws QueueFull if none was sent; anything else if they may or may not have got positions
   */
  forward(channel, lines, count) {
    const queue = this.#queues.get(channel) ?? this.#open(channel);
    if (queue.buffered > 0 && queue.buffered + lines.length > this.#maxBuffered) {
      return Promise.reject(new QueueFull("too many announcements are waiting for it"));
    }
    if (this.#buffered > 0 && this.#buffered + lines.length > MOST_BUFFERED) {
      return Promise.reject(new QueueFull("too many announcements are waiting for other channels"));
    }
    queue.buffered += lines.length;
    this.#buffered += lines.length;
    return new Promise((resolve, reject) => queue.waiting.push({ lines, count, resolve, reject }));
  }
  #open(channel) {
    const queue = { waiting: [], buffered: 0 };
    this.#queues.set(channel, queue);
    this.#world.keep(this.#send(channel, queue));
    return queue;
  }
  async #send(channel, queue) {
    await void 0;
    while (queue.waiting.length > 0) {
      const batch = queue.waiting.splice(0);
      const lines = batch.map((part) => part.lines).join("");
      const count = batch.reduce((sum, part) => sum + part.count, 0);
      try {
        let position = await this.#last(channel, lines, count) - count;
        for (const part of batch) {
          position += part.count;
          part.resolve(position);
        }
      } catch (cause) {
        for (const part of batch) part.reject(cause);
      }
      queue.buffered -= lines.length;
      this.#buffered -= lines.length;
    }
    this.#queues.delete(channel);
  }
  /** The position of the last one. Batch numbers are times, so they rise across the lives of this object. */
  async #last(channel, lines, count) {
    for (; ; ) {
      this.#newest = Math.max(this.#newest + 1, this.#world.now());
      const batch = { from: this.#world.name, number: this.#newest, lines, count };
      const answer = await this.#world.call(channel, "forward", batch);
      if ("last" in answer) return answer.last;
      this.#newest = Math.max(this.#newest, answer.newer);
    }
  }
};
var MAX_SENDERS = 1e4;
var BatchNumbers = class {
  #newest = /* @__PURE__ */ new Map();
  /** Notes a batch; if it is not in order, says the number that it should have exceeded. */
  newerThan({ from, number }) {
    const newest = this.#newest.get(from) ?? 0;
    if (number <= newest) return newest;
    if (this.#newest.size >= MAX_SENDERS) this.#newest.clear();
    this.#newest.set(from, number);
    return void 0;
  }
};

// src/links/peers.ts
var DEEPEST_FRESH = 6;
var UNKNOWN = 16;
var CALLS_PER_EVENT = 900;
var MOST_UNDER_WAY = 200;
var MOST_CHARACTERS = 16e6;
var MOST_WAYS = 500;
var MOST_REMADE = 3;
function backoff2(remade) {
  return 20 ** remade;
}
var LINGERS = 1e3;
var TRUSTED_FOR = 1e3;
var Peers = class {
  #open;
  #beginAnew;
  /** The one used last is last. */
  #ways = /* @__PURE__ */ new Map();
  #now;
  #sleep;
  /** The hop of the newest event. */
  #newest = UNKNOWN;
  /** While an event is taken in, nothing else counts. */
  #isTakingIn = false;
  /** The deepest event since a time, and of about as long before that. */
  #recent = { since: 0, deepest: 0, before: 0 };
  /** Of each hop, how many events have not been answered yet. */
  #unanswered = new Array(UNKNOWN + 1).fill(0);
  /** Calls made since the newest event. */
  #made = 0;
  #underWay = 0;
  #characters = 0;
  #queue = [];
  /** Calls that wait for an event from which they may be made. */
  #deferred = [];
  /**
   * @param platform opens ways to objects, which are as deep as the event in which they are first used
   * @param beginAnew has an event come soon that is not deep; says whether one will
   */
  constructor({ open, now, sleep }, beginAnew) {
    this.#open = open;
    this.#now = now;
    this.#sleep = sleep;
    this.#beginAnew = beginAnew;
  }
  /** An event has come, so many hops deep. */
  arrived(hop) {
    this.#newest = hop;
    this.#turnOver();
    this.#recent.deepest = Math.max(this.#recent.deepest, hop);
    this.#made = 0;
    this.#isTakingIn = true;
    void Promise.resolve().then(() => {
      this.#isTakingIn = false;
    });
    for (const { make } of this.#deferred.splice(0)) make();
  }
  /** Answers a call from another object. */
  async answer(hop = UNKNOWN, act) {
    this.arrived(hop);
    this.#count(hop, 1);
    try {
      return await act();
    } finally {
      this.#count(hop, -1);
    }
  }
  /**
   * Calls another object; waits where too many calls are under way.
   * @throws CallFailed if the cause is known; else anything
   */
  async call(object, kind, ask) {
    const size = sizeOf(ask);
    if (this.#queue.length === 0 && this.#hasRoom(size)) this.#begin(size);
    else await new Promise((go) => this.#queue.push({ size, go }));
    try {
      return await this.#untilMade(object, kind, ask);
    } finally {
      this.#end(size);
    }
  }
  /** What the platform would not make has not been carried out: it goes again, by a new event. */
  async #untilMade(object, kind, ask) {
    for (let remade = 0; ; remade++) {
      try {
        return await this.#make(object, kind, ask);
      } catch (error) {
        if (!wasNotMade(error) || remade === MOST_REMADE) throw error;
        await this.#sleep(backoff2(remade));
        this.#newest = UNKNOWN;
      }
    }
  }
  #make(object, kind, ask) {
    const kept = this.#made < CALLS_PER_EVENT ? this.#wayTo(object, kind) : void 0;
    if (kept) return this.#use(object, kept, kind, ask);
    return new Promise((resolve, reject) => {
      const make = () => this.#make(object, kind, ask).then(resolve, reject);
      this.#deferred.push({ make, fail: reject });
      void this.#beginAnew().then((comes) => {
        if (!comes) this.#failDeferred();
      });
    });
  }
  /** Nothing will come that they may be made from: storage takes no alarm. */
  #failDeferred() {
    for (const { fail } of this.#deferred.splice(0)) fail(new CallFailed("not made", "everything is deep"));
  }
  async #use(object, kept, kind, ask) {
    this.#made += 1;
    try {
      const answer = await kept.way.call(kind, ask, kept.depth + 1);
      kept.answered = this.#now();
      return answer;
    } catch (error) {
      const isSpent = !(error instanceof CallFailed && error.why === "thrown");
      if (isSpent && this.#ways.get(object) === kept) this.#ways.delete(object);
      throw error;
    }
  }
  /** The way that is kept, or a new one if that is better; undefined if there is none, and may be none now. */
  #wayTo(object, kind) {
    const depth = this.#depth;
    const now = this.#now();
    const known = this.#ways.get(object);
    if (!known && depth > DEEPEST_FRESH) return void 0;
    const isGood = known !== void 0 && known.depth <= depth && this.#isTrusted(known, kind, depth);
    const kept = isGood ? known : { way: this.#open(object), depth, answered: now };
    this.#ways.delete(object);
    this.#ways.set(object, kept);
    const [oldest] = this.#ways.keys();
    if (this.#ways.size > MOST_WAYS && oldest !== void 0) this.#ways.delete(oldest);
    return kept;
  }
  /** Whether a way may be used again. An announcement is not repeated; where all is deep, it has no other way. */
  #isTrusted({ answered }, kind, depth) {
    return kind !== "forward" || depth > DEEPEST_FRESH || this.#now() <= answered + TRUSTED_FOR;
  }
  /**
   * How deep a way is that is used for the first time now, at most. The runtime goes by the event that came
   * last; when all is over that has come with it, by an earlier one that is not. It does not tell when that is.
   */
  get #depth() {
    if (this.#isTakingIn) return this.#newest;
    this.#turnOver();
    const unanswered = this.#unanswered.findLastIndex((events) => events > 0);
    return Math.max(this.#newest, this.#recent.deepest, this.#recent.before, unanswered);
  }
  /** Forgets what was too long ago to count. */
  #turnOver() {
    const now = this.#now();
    const { since, deepest } = this.#recent;
    if (now < since + LINGERS) return;
    this.#recent = { since: now, deepest: 0, before: now < since + 2 * LINGERS ? deepest : 0 };
  }
  #count(hop, events) {
    const known = Math.min(hop, UNKNOWN);
    this.#unanswered[known] = (this.#unanswered[known] ?? 0) + events;
  }
  #hasRoom(size) {
    if (this.#underWay === 0) return true;
    return this.#underWay < MOST_UNDER_WAY && this.#characters + size <= MOST_CHARACTERS;
  }
  #begin(size) {
    this.#underWay += 1;
    this.#characters += size;
  }
  #end(size) {
    this.#underWay -= 1;
    this.#characters -= size;
    for (let [next] = this.#queue; next && this.#hasRoom(next.size); [next] = this.#queue) {
      this.#queue.shift();
      this.#begin(next.size);
      next.go();
    }
  }
};
function sizeOf(ask) {
  return ask && "lines" in ask ? ask.lines.length : 0;
}

// src/protocol/close-codes.ts
var TRY_AGAIN = 1013;
var POLICY = 1008;
var TOO_BIG = 1009;

// src/protocol/text.ts
function utf8Length(text) {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 128) continue;
    if (unit < 2048) bytes += 1;
    else if (isHighSurrogate(unit) && isLowSurrogate(text.charCodeAt(i + 1))) {
      bytes += 2;
      i += 1;
    } else bytes += 2;
  }
  return bytes;
}
var isHighSurrogate = (unit) => unit >= 55296 && unit <= 56319;
var isLowSurrogate = (unit) => unit >= 56320 && unit <= 57343;
function isLongerThan(text, limit) {
  if (text.length > limit) return true;
  return text.length * 3 > limit && utf8Length(text) > limit;
}

// src/protocol/frames.ts
var MAX_FRAME = 65536;
var LINE_END = 10;
var decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
function sizeOf2(frame) {
  return 1 + (typeof frame === "string" ? utf8Length(frame) : frame.byteLength);
}
function isTooBig(frame, limit) {
  return typeof frame === "string" ? isLongerThan(frame, limit) : frame.byteLength > limit;
}
function countLines(frame) {
  if (typeof frame === "string") return countEnds(frame.length, (from) => frame.indexOf("\n", from));
  const bytes = new Uint8Array(frame);
  return countEnds(bytes.length, (from) => bytes.indexOf(LINE_END, from));
}
function countEnds(length, endFrom) {
  let lines = 1;
  for (let end = endFrom(0); end >= 0 && end < length - 1; end = endFrom(end + 1)) lines += 1;
  return lines;
}
function linesOf(frame) {
  if (typeof frame === "string") return frame.split("\n");
  try {
    return decoder.decode(frame).split("\n");
  } catch {
    return [void 0];
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
function endOfFrame(text, from) {
  if (text.length - from <= MAX_FRAME) return text.length;
  const end = text.lastIndexOf("\n", from + MAX_FRAME - 1);
  return (end > from ? end : text.indexOf("\n", from)) + 1;
}
function dropLines(lines, n) {
  let from = 0;
  for (let i = 0; i < n; i++) from = lines.indexOf("\n", from) + 1;
  return lines.slice(from);
}

// src/protocol/channels.ts
var EVERYONE = "all";
var DEBUG = "debug";
var MAX_NAME_BYTES = 255;
var FORBIDDEN_IN_NAME = /[\u0000-\u0020!\u007f-\u009f]/;
function nameFault(name) {
  if (name === "") return "a channel name is missing";
  if (isLongerThan(name, MAX_NAME_BYTES)) return `a channel name has at most ${MAX_NAME_BYTES} bytes`;
  if (FORBIDDEN_IN_NAME.test(name)) return "a channel name has no '!', space or control character";
  return void 0;
}
function channelFault(name) {
  if (name === DEBUG) return `'${DEBUG}' is the server's own voice, not a channel`;
  return nameFault(name);
}

// src/auth/grants.ts
function maySubscribe(grants, channel) {
  return !grants || channel === EVERYONE || isAmong(grants.subscribe, channel);
}
function mayAnnounce(grants, channel) {
  if (!grants) return true;
  return channel === EVERYONE ? grants.announce.includes(EVERYONE) : isAmong(grants.announce, channel);
}
function isAmong(patterns, channel) {
  return patterns.some(
    (pattern) => pattern.endsWith("*") ? channel.startsWith(pattern.slice(0, -1)) : channel === pattern
  );
}
function hasEnded(grants, now) {
  return grants !== void 0 && grants.until <= now;
}
function isNames(value) {
  return Array.isArray(value) && value.every((name) => typeof name === "string");
}
function isGrants(value) {
  if (typeof value !== "object" || value === null) return false;
  if (!("subscribe" in value && "announce" in value && "until" in value)) return false;
  return isNames(value.subscribe) && isNames(value.announce) && typeof value.until === "number";
}

// src/sockets/attachment.ts
var MAX_BYTES = 15e3;
function isAttachment(value) {
  if (typeof value !== "object" || value === null || !("channels" in value)) return false;
  return isNames(value.channels) && (!("grants" in value) || isGrants(value.grants));
}
function fits(channels, grants) {
  let bytes = 0;
  for (const name of channels) bytes += bytesOf(name);
  for (const name of grants?.subscribe ?? []) bytes += bytesOf(name);
  for (const name of grants?.announce ?? []) bytes += bytesOf(name);
  return bytes <= MAX_BYTES;
}
function bytesOf(name) {
  return 8 + name.length * (isLongerThan(name, name.length) ? 2 : 1);
}

// src/sockets/outbox.ts
var FRAME_OVERHEAD = 1300;
var READ = 4e5;
var Outbox = class {
  #socket;
  #now;
  /** What has been sent since nothing was waiting. */
  #frames = 0;
  #characters = 0;
  #taken = false;
  /** Bytes that were reckoned to wait at a time, in milliseconds since 1970, where nobody tells. */
  #reckoned = { bytes: 0, at: 0 };
  constructor(socket, now) {
    this.#socket = socket;
    this.#now = now;
  }
  send(frames) {
    try {
      for (const frame of frames) {
        this.#socket.send(frame);
        this.#frames += 1;
        this.#characters += frame.length;
        this.#reckoned.bytes += frame.length;
      }
    } catch {
    }
  }
  /**
   * Memory, in bytes, that what waits takes. Nobody tells how many frames do, so it is taken that they are as
   * long as all that were sent since nothing was waiting.
   */
  get weight() {
    const waiting = this.#socket.bufferedAmount ?? this.#reckon();
    this.#taken ||= this.#hasTakenSome(waiting);
    if (waiting === 0) this.#frames = this.#characters = 0;
    if (this.#frames === 0) return waiting;
    return waiting + FRAME_OVERHEAD * this.#frames * Math.min(1, waiting / this.#characters);
  }
  /** Bytes that wait if the client reads at the least that is expected of one. */
  #reckon() {
    const now = this.#now();
    const read = Math.max(0, now - this.#reckoned.at) * READ / 1e3;
    this.#reckoned = { bytes: Math.max(0, this.#reckoned.bytes - read), at: now };
    return this.#reckoned.bytes;
  }
  /** Whether the client has ever taken anything, as far as is known. */
  get hasTaken() {
    return this.#taken || this.#hasTakenSome(this.#socket.bufferedAmount);
  }
  #hasTakenSome(waiting) {
    return this.#characters > 0 && (waiting === void 0 || waiting < this.#characters);
  }
};

// src/sockets/rate.ts
function newBucket() {
  return { level: 0, at: 0 };
}
function take(bucket, wanted, perSecond, now) {
  const refill = Math.max(0, now - bucket.at) * perSecond / 1e3;
  const level = Math.min(perSecond, bucket.level + refill);
  const taken = Math.min(wanted, Math.floor(level));
  bucket.level = level - taken;
  bucket.at = now;
  return taken;
}

// src/sockets/connections.ts
var MOST_SUBSCRIBED = 32e6;
var SUBSCRIPTION = 100;
var FIRST_SUBSCRIPTION = 400;
var Connections = class {
  #sockets;
  #now;
  #onGathered;
  #maxBuffered;
  #bySocket = /* @__PURE__ */ new Map();
  #byChannel = /* @__PURE__ */ new Map();
  #unflushed = /* @__PURE__ */ new Set();
  /** Lines of one channel in a row, not yet handed to each of its subscribers. */
  #run;
  /** What is kept for this object with one of its sockets. */
  #kept;
  #subscriptions = 0;
  /** Bytes that they take. */
  #subscribed = 0;
  #gathered = 0;
  /**
   * Takes up the sockets that hibernated with this object.
   * @param maxBuffered bytes that may wait for one client before it counts as too slow
   * @param onGathered called when something has been gathered, so that a flush is due
   */
  constructor(sockets, maxBuffered, now, onGathered) {
    this.#sockets = sockets;
    this.#now = now;
    this.#maxBuffered = maxBuffered;
    this.#onGathered = onGathered;
    for (const socket of sockets.getWebSockets()) {
      const attached = socket.deserializeAttachment();
      if (!isAttachment(attached)) continue;
      const connection = this.#add(socket, attached.grants);
      connection.admitted = true;
      if (attached.kept !== void 0) this.#kept = { value: attached.kept, by: connection };
      for (const channel of attached.channels) this.#index(connection, channel);
    }
  }
  /** How many connections there are. */
  get size() {
    return this.#bySocket.size;
  }
  [Symbol.iterator]() {
    return this.#bySocket.values();
  }
  get subscriptions() {
    return this.#subscriptions;
  }
  /** Whether one more subscription is one too many for this object's memory. */
  get isFull() {
    return this.#subscribed > MOST_SUBSCRIBED;
  }
  /** Whether that is near, so that new connections had better go elsewhere. */
  get isCrowded() {
    return this.#subscribed > MOST_SUBSCRIBED * 0.75;
  }
  /** The channels that have subscribers here. */
  get channels() {
    return this.#byChannel.keys();
  }
  /** How many are subscribed to `channel` here. */
  subscribers(channel) {
    return this.#byChannel.get(channel)?.size ?? 0;
  }
  /** Those subscribed to `channel`, as they are now. */
  subscribersOf(channel) {
    return [...this.#byChannel.get(channel) ?? []];
  }
  /** The connection of a socket; undefined once it has been removed. */
  of(socket) {
    return this.#bySocket.get(socket);
  }
  /** What an earlier life of this object has kept, if its socket is still there. */
  get kept() {
    return this.#kept?.value;
  }
  /** Keeps something for this object with one of its sockets, so that it outlives sleep; says whether there is one. */
  keep(value) {
    const [first] = this;
    const by = this.#kept && !this.#kept.by.closed ? this.#kept.by : first;
    this.#kept = by && { value, by };
    if (by) this.#attach(by);
    return by !== void 0;
  }
  /** Takes a new socket in, subscribed to nothing yet. */
  accept(socket, grants) {
    this.#sockets.acceptWebSocket(socket);
    const connection = this.#add(socket, grants);
    this.#attach(connection);
    return connection;
  }
  /** Gives `connection` other grants than it had. */
  grant(connection, grants) {
    connection.grants = grants;
    this.#attach(connection);
  }
  subscribe(connection, channel) {
    assert(!connection.channels.has(channel), "nobody is subscribed twice");
    this.#endRun();
    this.#index(connection, channel);
    this.#attach(connection);
  }
  unsubscribe(connection, channel) {
    assert(connection.channels.has(channel), "who is unsubscribed was subscribed");
    this.#endRun();
    this.#unindex(connection, channel);
    this.#attach(connection);
  }
  /** Forgets `connection` and its subscriptions. */
  remove(connection) {
    this.#endRun();
    for (const channel of connection.channels) this.#unindex(connection, channel);
    connection.closed = true;
    this.#bySocket.delete(connection.socket);
    this.#unflushed.delete(connection);
  }
  /** Sends what is gathered for `connection`, then closes it and forgets it. */
  close(connection, code, reason) {
    this.#endRun();
    this.#send(connection);
    this.remove(connection);
    connection.socket.serializeAttachment(null);
    try {
      connection.socket.close(code, reason);
    } catch {
    }
  }
  /** Gathers a line for one connection. */
  tell(connection, line) {
    if (connection.closed) return;
    this.#gathered += line.length;
    this.#endRun();
    this.#gather(connection, line);
    this.#onGathered();
  }
  /** Gathers lines for everyone subscribed to `channel`. */
  publish(channel, lines) {
    if (!this.#byChannel.has(channel)) return;
    this.#gathered += lines.length;
    if (this.#run?.channel === channel) {
      this.#run.lines += lines;
      return;
    }
    this.#endRun();
    this.#run = { channel, lines };
    this.#onGathered();
  }
  /** Characters gathered since the last flush, however many they are for. */
  get gathered() {
    return this.#gathered;
  }
  /** How many sockets something has been gathered for. */
  get due() {
    return this.#unflushed.size + (this.#run ? this.subscribers(this.#run.channel) : 0);
  }
  /**
   * Sends what has been gathered.
   * @returns those to whom nothing was sent, as they have not taken what was sent to them earlier
   */
  flush() {
    const slow = [];
    this.#gathered = 0;
    if (this.#run && this.#unflushed.size === 0) this.#flushRun(this.#run, slow);
    this.#endRun();
    for (const connection of this.#unflushed) {
      if (this.#isSlow(connection)) slow.push(connection);
      else this.#send(connection);
    }
    this.#unflushed.clear();
    return slow;
  }
  /** The common case, and the quickest: everyone who is due gets the same. */
  #flushRun({ channel, lines }, slow) {
    this.#run = void 0;
    const frames = framesOf(lines);
    for (const connection of this.#byChannel.get(channel) ?? []) {
      if (this.#isSlow(connection)) slow.push(connection);
      else connection.outbox.send(frames);
    }
  }
  /** Before anything else is gathered or anyone comes or goes, a run must have reached its readers. */
  #endRun() {
    if (!this.#run) return;
    const { channel, lines } = this.#run;
    this.#run = void 0;
    for (const connection of this.#byChannel.get(channel) ?? []) this.#gather(connection, lines);
  }
  #gather(connection, lines) {
    if (connection.gathered === "") this.#unflushed.add(connection);
    connection.gathered += lines;
  }
  /** Whether too much of what was sent to `connection` earlier still waits for its client to take it. */
  #isSlow({ outbox }) {
    return outbox.weight > this.#maxBuffered;
  }
  #send(connection) {
    const frames = framesOf(connection.gathered);
    connection.gathered = "";
    connection.outbox.send(frames);
  }
  #add(socket, grants) {
    const connection = {
      socket,
      grants,
      channels: /* @__PURE__ */ new Set(),
      gathered: "",
      outbox: new Outbox(socket, this.#now),
      lines: newBucket(),
      excess: newBucket(),
      admitted: false,
      closed: false
    };
    this.#bySocket.set(socket, connection);
    return connection;
  }
  #index(connection, channel) {
    const subscribers = this.#byChannel.get(channel) ?? /* @__PURE__ */ new Set();
    if (subscribers.size === 0) this.#byChannel.set(channel, subscribers);
    this.#subscribed += memoryOf(channel, subscribers.size);
    connection.channels.add(channel);
    this.#subscriptions += 1;
    subscribers.add(connection);
  }
  #unindex(connection, channel) {
    const subscribers = this.#byChannel.get(channel);
    connection.channels.delete(channel);
    this.#subscriptions -= 1;
    subscribers?.delete(connection);
    this.#subscribed -= memoryOf(channel, subscribers?.size ?? 0);
    if (subscribers?.size === 0) this.#byChannel.delete(channel);
  }
  #attach(connection) {
    const { socket, channels, grants } = connection;
    const attachment = { channels: [...channels], ...grants && { grants } };
    if (this.#kept?.by === connection) attachment.kept = this.#kept.value;
    socket.serializeAttachment(attachment);
  }
};
function memoryOf(channel, others) {
  return SUBSCRIPTION + channel.length + (others === 0 ? FIRST_SUBSCRIPTION + channel.length : 0);
}

// src/protocol/commands.ts
function parseCommand(line) {
  if (line.startsWith("announce ")) return parseAnnounce(line);
  const bare = line.endsWith("\r") ? line.slice(0, -1) : line;
  if (bare === "") return { kind: "empty" };
  if (bare === "ping" || bare === "info") return { kind: bare };
  const [verb, word = ""] = bare.split(/ +/, 2);
  if (verb === "subscribe" || verb === "unsubscribe") return parseSubscription(verb, word);
  if (verb === "token") return word === "" ? invalid("a token is missing") : { kind: "token", token: word };
  if (verb === "announce") return invalid("announce takes a channel and a message");
  return invalid(
    "unknown command; there are ping, info, subscribe <channel>, unsubscribe <channel>, announce <channel> <message>, token <jwt>"
  );
}
function parseSubscription(kind, channel) {
  const fault = kind === "subscribe" ? channelFault(channel) : nameFault(channel);
  return fault ? invalid(`cannot ${kind}: ${fault}`) : { kind, channel };
}
function parseAnnounce(line) {
  const from = "announce ".length;
  const space = line.indexOf(" ", from);
  const channel = space < 0 ? line.slice(from) : line.slice(from, space);
  const fault = channelFault(channel);
  if (fault) return invalid(`cannot announce: ${fault}`);
  const message = space < 0 ? "" : line.slice(space + 1);
  if (message === "") return invalid("cannot announce: a message is missing after the channel");
  return { kind: "announce", channel, message };
}
function invalid(why) {
  return { kind: "invalid", why };
}

// src/protocol/replies.ts
var GREETING = `${DEBUG}!connected...
`;
var BUSY = `${DEBUG}!busy
`;
function formatMessage(channel, message) {
  return `${channel}!${message}
`;
}
function formatError(why) {
  return `${DEBUG}!error ${why}
`;
}
function formatAccepted(until) {
  return `${DEBUG}!token accepted until ${Math.floor(until / 1e3)}
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

// src/sockets/inbox.ts
var CommandError = class extends Error {
};
var MOST_WAITING = 16e6;
var WAITING_OVERHEAD = 100;
var Inbox = class {
  #carrier;
  #limits;
  #now;
  /** Of the connections whose commands are being carried out. */
  #queues = /* @__PURE__ */ new Map();
  /** Bytes that wait of all connections. */
  #waiting = 0;
  constructor(carrier, limits, now) {
    this.#carrier = carrier;
    this.#limits = limits;
    this.#now = now;
  }
  /** Has everything that `connection` sends wait until `begun` has settled. */
  begin(connection, begun) {
    return this.#run(connection, begun);
  }
  /** Takes a frame. Resolves when its commands have been carried out, or they wait behind earlier ones. */
  receive(connection, frame) {
    const allowed = this.#allowed(connection, frame);
    if (allowed === void 0) return void 0;
    const queue = this.#queues.get(connection);
    if (!queue) return this.#run(connection, void 0, [{ frame, allowed, size: 0 }]);
    const size = sizeOf2(frame) + WAITING_OVERHEAD;
    if (queue.size + size > this.#limits.maxBufferedBytes) this.#closeForWaiting(connection);
    else {
      queue.frames.push({ frame, allowed, size });
      queue.size += size;
      this.#waiting += size;
    }
    while (this.#waiting > MOST_WAITING) this.#closeForWaiting(this.#longest());
    return void 0;
  }
  /** The connection of which most waits. */
  #longest() {
    const [first, ...others] = this.#queues;
    assert(first !== void 0, "what waits does so in a queue");
    return others.reduce((longest, other) => other[1].size > longest[1].size ? other : longest, first)[0];
  }
  #closeForWaiting(connection) {
    this.#drop(this.#queues.get(connection));
    this.#carrier.close(connection, POLICY, "too many commands are waiting to be carried out");
  }
  /** Forgets what waits in a queue. */
  #drop(queue) {
    if (!queue) return;
    this.#waiting -= queue.size;
    queue.frames = [];
    queue.size = 0;
  }
  /** How many lines of a frame are to be carried out; undefined if the connection had to be closed. */
  #allowed(connection, frame) {
    const { maxBufferedBytes, linesPerSecond } = this.#limits;
    if (isTooBig(frame, maxBufferedBytes)) {
      this.#carrier.close(connection, TOO_BIG, `a frame has at most ${maxBufferedBytes} bytes`);
      return void 0;
    }
    const lines = countLines(frame);
    const now = this.#now();
    const allowed = take(connection.lines, lines, linesPerSecond, now);
    const tooMany = lines - allowed;
    if (take(connection.excess, tooMany, linesPerSecond, now) === tooMany) return allowed;
    this.#carrier.close(connection, POLICY, `far more than ${linesPerSecond} lines a second`);
    return void 0;
  }
  async #run(connection, begun, frames = []) {
    const queue = { frames, size: 0, lines: [], allowed: 0, next: 0 };
    this.#queues.set(connection, queue);
    try {
      if (begun) await begun;
      for (let line = this.#take(queue); line && !connection.closed; line = this.#take(queue)) {
        try {
          const done = this.#carryOut(connection, line, queue);
          if (done) await done;
        } catch (error) {
          if (!(error instanceof CommandError)) throw error;
          this.#carrier.tell(connection, formatError(error.message));
        }
      }
    } finally {
      this.#drop(queue);
      this.#queues.delete(connection);
    }
  }
  #carryOut(connection, line, queue) {
    if (line.kind === "empty") return void 0;
    if (line.kind === "invalid") throw new CommandError(line.why);
    const step = line.kind === "announce" ? this.#withMore(line.channel, line.message, queue) : line;
    return this.#carrier.carryOut(connection, step);
  }
  /** An announcement, and those that follow it on the same channel. */
  #withMore(channel, message, queue) {
    let lines = formatMessage(channel, message);
    let count = 1;
    for (; ; ) {
      const next = this.#peek(queue);
      if (next?.kind !== "announce" || next.channel !== channel) break;
      queue.next += 1;
      lines += formatMessage(channel, next.message);
      count += 1;
    }
    return { kind: "announce", channel, lines, count };
  }
  /** The next line, taken out; undefined when none waits. */
  #take(queue) {
    const line = this.#peek(queue);
    queue.next += 1;
    return line;
  }
  #peek(queue) {
    while (queue.next >= queue.lines.length) {
      const waiting = queue.frames.shift();
      if (!waiting) return void 0;
      queue.size -= waiting.size;
      this.#waiting -= waiting.size;
      queue.lines = linesOf(waiting.frame);
      queue.allowed = waiting.allowed;
      queue.next = 0;
    }
    return this.#read(queue.lines[queue.next], queue.next < queue.allowed);
  }
  #read(line, allowed) {
    const { maxLineBytes, linesPerSecond } = this.#limits;
    if (line === "") return { kind: "empty" };
    if (!allowed) return invalid(`more than ${linesPerSecond} lines a second; this one was ignored`);
    if (line === void 0) return invalid("a frame was not UTF-8; nothing in it was carried out");
    if (!isLongerThan(line, maxLineBytes)) return parseCommand(line);
    return invalid(`a line has at most ${maxLineBytes} bytes; a longer one was ignored`);
  }
};

// src/broker/activity.ts
var SETTLE_AFTER = 1e3;
var Activity = class {
  #world;
  #events;
  #count = 0;
  /** When the last event was, in milliseconds since 1970. */
  #last = 0;
  #settling = false;
  constructor(world, events) {
    this.#world = world;
    this.#events = events;
  }
  /** How many events there have been. */
  get count() {
    return this.#count;
  }
  /** Notes an event. What must not be forgotten is written in a while; until then this object stays. */
  note() {
    this.#count += 1;
    this.#last = this.#world.now();
    if (this.#settling) return;
    this.#settling = true;
    this.#wait(SETTLE_AFTER);
  }
  #wait(milliseconds) {
    const before = this.#count;
    this.#world.after(milliseconds, () => {
      const stays = this.#events.passed();
      if (stays || before !== this.#count) {
        const quiet = this.#world.now() - this.#last;
        this.#wait(stays ? SETTLE_AFTER : Math.max(1, SETTLE_AFTER - quiet));
        return;
      }
      this.#settling = false;
      this.#events.settle();
    });
  }
};

// src/broker/alarm.ts
var LOOK_AGAIN = 1e4;
var Alarm = class {
  #world;
  #expiry;
  /** @param expiry when the first grants end, for which an earlier life of this object has set its alarm */
  constructor(world, expiry) {
    this.#world = world;
    this.#expiry = expiry;
  }
  /** When the first grants end, in milliseconds since 1970; infinite if none do. */
  get expiry() {
    return this.#expiry;
  }
  /**
   * Something is unfinished, and to be looked at again even if this object crashes and nobody calls.
   * @param except a time for which the alarm may be set already, and then is set for another one
   */
  watch(except) {
    const time = this.#world.now() + LOOK_AGAIN;
    const set = this.#world.alarmTime();
    if (set === void 0 || set > time) void this.#world.alarm(time);
    else if (set === except) void this.#world.alarm(set - 1);
  }
  /** It is to go off at once; says whether it will. */
  async beginAnew() {
    return this.#ensure(this.#world.now());
  }
  /** The first grants end at a time. */
  expireAt(time) {
    this.#expiry = time;
    if (Number.isFinite(time)) void this.#ensure(time);
  }
  async #ensure(time) {
    const set = this.#world.alarmTime();
    return set !== void 0 && set <= time || this.#world.alarm(time);
  }
};

// src/broker/claims.ts
var TOLD = "told";
var Claims = class {
  #world;
  #events;
  #held;
  #told;
  #newest = 0;
  #waiting = [];
  #asking = false;
  /** @param held connections that are there already */
  constructor(world, held, events) {
    this.#world = world;
    this.#held = held;
    this.#events = events;
    this.#told = rowOf(world.store.get(TOLD), isNumber) ?? 0;
    this.#report();
  }
  /** Asks for one more connection. While there is no answer to be had it is admitted. */
  admit() {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#report();
    });
  }
  /** One that was admitted has gone. */
  release() {
    this.#held -= 1;
    this.#report();
  }
  /** Claims anew, whatever the root of `all` knows. */
  recount() {
    this.#told = Number.NaN;
    this.#report();
  }
  /** Tells the root of `all` what it does not know yet. */
  #report() {
    if (this.#asking || this.isKnown) return;
    this.#asking = true;
    this.#world.keep(this.#untilKnown());
  }
  /** Whether the root of `all` knows all that there is to know. */
  get isKnown() {
    return this.#waiting.length === 0 && this.#told === this.#held;
  }
  async #untilKnown() {
    await void 0;
    try {
      while (!this.isKnown) await retry(this.#world, () => this.#claim());
    } catch {
      this.#admit(this.#waiting.splice(0), Number.POSITIVE_INFINITY);
      this.#events.unfinished();
    } finally {
      this.#asking = false;
    }
  }
  async #claim() {
    this.#newest = Math.max(this.#newest + 1, this.#world.now());
    const asking = this.#waiting.length;
    const claim = { from: this.#world.name, number: this.#newest, held: this.#held, wanted: asking };
    const granted = await this.#events.claim(claim);
    this.#told = claim.held + granted;
    if (this.#told === 0) this.#world.store.delete(TOLD);
    else this.#world.store.put(TOLD, this.#told);
    this.#admit(this.#waiting.splice(0, asking), granted);
  }
  #admit(asking, granted) {
    this.#held += Math.min(asking.length, granted);
    for (const [i, answer] of asking.entries()) answer(i < granted);
  }
};

// src/broker/quota.ts
var HELD = "held:";
var Quota = class {
  #world;
  #limit;
  #recount;
  /** By object. */
  #held = /* @__PURE__ */ new Map();
  #total = 0;
  #recounting = false;
  /** @param recount has an object claim anew */
  constructor(world, limit, recount) {
    this.#world = world;
    this.#limit = limit;
    this.#recount = recount;
    for (const [key, value] of world.store.list(HELD)) {
      const connections = rowOf(value, isNumber) ?? 0;
      this.#held.set(key.slice(HELD.length), { connections, number: 0 });
      this.#total += connections;
    }
  }
  /** Notes what an object holds; says how many it may take of those that it wants. */
  claim({ from, number, held, wanted }) {
    const known = this.#held.get(from) ?? { connections: 0, number: 0 };
    if (number <= known.number) return 0;
    const room = Math.max(0, this.#limit - (this.#total - known.connections) - held);
    const granted = Math.min(wanted, room);
    this.#note(from, { connections: held + granted, number });
    if (granted < wanted && !this.#recounting) this.#world.keep(this.#recountAny());
    return granted;
  }
  /** Some object is asked whether it still has what it said: it may have crashed. */
  async #recountAny() {
    const objects = [...this.#held.keys()];
    const object = objects[Math.floor(this.#world.random() * objects.length)];
    if (object === void 0) return;
    this.#recounting = true;
    await this.#recount(object).catch(() => {
    });
    this.#recounting = false;
  }
  #note(object, entry) {
    const { store } = this.#world;
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

// src/broker/client-limit.ts
var ClientLimit = class {
  #world;
  #counters;
  #claims;
  /** At the root of `all`. */
  #quota;
  /**
   * @param held connections that are there already
   * @param unfinished called when the root of `all` does not answer: `recount` is to be called later
   */
  constructor(world, limit, counters, held, unfinished) {
    this.#world = world;
    this.#counters = counters;
    if (world.name === EVERYONE) this.#quota = new Quota(world, limit, (object) => this.#recountAt(object));
    this.#claims = new Claims(world, held, {
      claim: async (claim) => this.#quota ? this.claim(claim) : world.call(EVERYONE, "claim", claim),
      unfinished
    });
  }
  /** Asks for one more connection. While there is no answer to be had it is admitted. */
  admit() {
    return this.#claims.admit();
  }
  /** One that was admitted has gone. */
  release() {
    this.#claims.release();
  }
  /** Claims anew what this object holds. */
  recount() {
    this.#claims.recount();
  }
  /** Whether the root of `all` knows what this object holds. */
  get isKnown() {
    return this.#claims.isKnown;
  }
  /** At the root of `all`: says how many connections an object may take. */
  claim(claim) {
    const granted = this.#quota?.claim(claim) ?? claim.wanted;
    this.#counters.count("rejected", claim.wanted - granted);
    return granted;
  }
  async #recountAt(object) {
    if (object === this.#world.name) this.recount();
    else await this.#world.call(object, "recount", void 0);
  }
};

// src/links/upstream.ts
function isLinkRow2(row) {
  return isRecord(row) && typeof row.parent === "string" && isNumber(row.epoch);
}
var LINK2 = "upstream:";
var Unreachable = class extends Error {
};
var StorageFull = class extends Error {
};
var Upstream = class {
  #world;
  #log;
  #listeners;
  #accounts;
  #hasSlept;
  #links = /* @__PURE__ */ new Map();
  /** Channels whose link has ended, though storage still has its row. */
  #stale = /* @__PURE__ */ new Set();
  #newestEpoch = 0;
  /** Where the connections of this object come from; a child tells its parent. */
  region = "";
  /**
   * @param log of this object's own channel; a child learns its position with its link
   * @param accounts what is counted under the link to a channel, if anything is
   * @param hasSlept whether this object is sure to have slept, rather than crashed
   */
  constructor(world, log, listeners, accounts, hasSlept) {
    this.#world = world;
    this.#log = log;
    this.#listeners = listeners;
    this.#accounts = accounts;
    this.#hasSlept = hasSlept;
  }
  /** Whether messages of `channel` arrive here, and others may rely on that. */
  isLinked(channel) {
    return this.#link(channel)?.sure ?? false;
  }
  /**
   * Links this object to `channel`, or makes sure that it still is. When it resolves, and `isLinked` still
   * says so, messages that get their position from then on will arrive.
   * @throws Unreachable if the channel's object does not answer
   */
  async join(channel) {
    const link = this.#link(channel) ?? this.#ask(channel);
    if (!link.sure) link.asking ??= this.#untilSure(link);
    await link.asking;
  }
  /**
   * Whether the link to `channel` is the one whose epoch its parent has vouched for, to somebody who is about
   * to rely on it; for nobody else, as that word may be old. A child has to know its position besides.
   */
  isVouchedFor(channel, epoch) {
    const link = this.#link(channel);
    return link?.linked === true && link.epoch === epoch && this.#log.position !== void 0;
  }
  /** Has this object make sure of its link to `channel` before others rely on it. */
  doubt(channel) {
    const link = this.#link(channel);
    if (!link) return;
    link.doubted = true;
    link.sure = false;
  }
  /** Ends the link to `channel`; to be called when nobody here listens to it any more. */
  leave(channel) {
    const link = this.#link(channel);
    if (!link) return;
    this.#drop(link);
    this.#world.keep(this.#unlink(link));
  }
  /** Leaves every channel that nobody here listens to: links that a crash left behind. */
  leaveUnheard() {
    for (const [key] of [...this.#world.store.list(LINK2)]) {
      const channel = key.slice(LINK2.length);
      if (!this.#listeners.listens(channel)) this.leave(channel);
    }
  }
  /** Takes a delivery: hands on what is new in it, exactly once and in order, or ends the link. */
  deliver(delivery) {
    const link = this.#link(delivery.channel);
    if (link?.epoch !== delivery.epoch || link.parent !== delivery.from) return this.#gone(delivery);
    const heard = !link.linked || this.#listeners.listens(link.channel);
    if (heard && !this.#isMissingSome(link, delivery)) {
      this.#take(link, delivery);
      return { gone: false };
    }
    if (heard) this.#lose(link);
    else this.#drop(link);
    return this.#gone(delivery);
  }
  /** Resolves when a message has been handed on here, or never will be; undefined if that is so already. */
  reached(channel, position) {
    const link = this.#link(channel);
    if (!link?.linked) return void 0;
    if (link.last !== void 0 && link.last >= position) return void 0;
    return new Promise((reached) => link.waiting.push({ position, reached }));
  }
  #link(channel) {
    const known = this.#links.get(channel);
    if (known || this.#stale.has(channel)) return known;
    const row = rowOf(this.#world.store.get(LINK2 + channel), isLinkRow2);
    if (!row) return void 0;
    const last = this.#isOwn(channel) ? this.#log.position : void 0;
    return this.#add(channel, row, { last, linked: true, sure: this.#hasSlept });
  }
  #isOwn(channel) {
    return channel === channelOf(this.#world.name);
  }
  #add(channel, row, known) {
    this.#newestEpoch = Math.max(this.#newestEpoch, row.epoch);
    const asked = { channel, ...row, vouched: void 0, doubted: false, asking: void 0 };
    const link = { ...asked, ...known, waiting: [] };
    this.#links.set(channel, link);
    return link;
  }
  /** Epochs are times, so they rise across crashes and when storage has been emptied. */
  #nextEpoch() {
    this.#newestEpoch = Math.max(this.#newestEpoch + 1, this.#world.now());
    return this.#newestEpoch;
  }
  #ask(channel) {
    const parent = this.#isOwn(channel) && parentOf(this.#world.name) || channel;
    const epoch = this.#nextEpoch();
    this.#ended(channel, epoch - 1);
    return this.#add(channel, { parent, epoch }, { last: void 0, linked: false, sure: false });
  }
  async #untilSure(link) {
    const isOpen = () => !link.sure && this.#links.get(link.channel) === link;
    try {
      while (isOpen()) {
        this.#write(link);
        await retry(this.#world, () => this.#request(link), isOpen);
      }
    } catch (cause) {
      if (!isOpen()) return;
      if (!link.linked) this.#drop(link);
      const why = cause instanceof StorageFull ? "this server's storage is full" : "the channel's object does not answer";
      throw new Unreachable(why, { cause });
    } finally {
      link.asking = void 0;
    }
  }
  /** Notes which link is asked for, so that after a crash it is known what to end. */
  #write({ channel, parent, epoch, linked }) {
    const row = { parent, epoch };
    if (linked) return;
    if (!this.#world.store.put(LINK2 + channel, row)) throw new StorageFull();
    this.#stale.delete(channel);
  }
  /** Asks once. The link is there then, or is lost, or will be asked for otherwise. */
  async #request(link) {
    const { channel, parent, epoch, linked, vouched } = link;
    const handover = this.#accounts(channel)?.handover;
    const still = linked ? { last: link.last } : void 0;
    link.doubted = false;
    const request = { from: this.#world.name, epoch, region: this.region, handover, still, vouched };
    const answer = await this.#world.call(parent, "link", request);
    if ("after" in answer && handover) this.#accounts(channel)?.handedOver(handover);
    if ("after" in answer && !linked) this.#accounts(channel)?.begin(epoch);
    if (this.#links.get(channel) !== link) return;
    if ("instead" in answer) {
      link.parent = answer.instead;
      link.vouched = answer.vouched;
    } else if ("after" in answer) {
      this.#linked(link, answer.after);
    } else if (linked) {
      this.#lose(link);
    } else {
      this.#newestEpoch = Math.max(this.#newestEpoch, answer.newer);
      link.epoch = this.#nextEpoch();
    }
  }
  #linked(link, after) {
    if (this.#isOwn(link.channel) && this.#log.position === void 0) this.#log.begin(after);
    link.last ??= after;
    link.linked = true;
    link.sure = !link.doubted;
  }
  async #unlink({ channel, parent, epoch, asking }) {
    await asking?.catch(() => {
    });
    const handover = this.#handover(channel, epoch);
    const ask = { from: this.#world.name, epoch, handover };
    try {
      await retry(this.#world, () => this.#world.call(parent, "unlink", ask));
    } catch {
      return;
    }
    if (handover) this.#accounts(channel)?.handedOver(handover);
    await this.#world.store.sync();
  }
  /** Ends the link of a delivery. With totals to hand over it says so once more, to be sure of them. */
  #gone({ channel, from: parent, epoch }) {
    const handover = this.#handover(channel, epoch);
    if (handover) this.#world.keep(this.#unlink({ channel, parent, epoch, asking: void 0 }));
    return { gone: true, handover };
  }
  /** The totals of a link that has ended; if a newer one has been asked for, they go on with that one. */
  #handover(channel, epoch) {
    if (!this.#links.has(channel)) this.#ended(channel, epoch);
    return this.#accounts(channel)?.handover;
  }
  /** Every link to `channel` asked for up to `epoch` has ended. */
  #ended(channel, epoch) {
    if (this.#isOwn(channel)) this.#log.lose();
    this.#accounts(channel)?.end(epoch);
  }
  #lose(link) {
    this.#drop(link);
    this.#listeners.lose(link.channel);
  }
  #drop(link) {
    this.#links.delete(link.channel);
    if (!this.#world.store.delete(LINK2 + link.channel)) this.#stale.add(link.channel);
    for (const { reached } of link.waiting) reached();
  }
  /**
   * True if a message before those in `delivery` never came, or nobody can know: after this object
   * left memory it trusts the sender's word on what it has, but not about a call that may have been
   * carried out while it still was in memory. What has come before comes again only from a sender that does
   * not know whether it has; else that has lost its place.
   */
  #isMissingSome({ last }, { after, again, lost }) {
    if (lost || last === void 0) return lost || again;
    return after > last || after < last && !again;
  }
  #take(link, { channel, after, count, lines }) {
    const known = link.last === void 0 ? 0 : Math.min(link.last - after, count);
    if (known < count) {
      this.#listeners.hear(channel, dropLines(lines, known), count - known, after + known);
    }
    link.last = Math.max(link.last ?? 0, after + count);
    this.#releaseWaiting(link, link.last);
  }
  #releaseWaiting(link, last) {
    if (link.waiting.length === 0) return;
    for (const { position, reached } of link.waiting) if (position <= last) reached();
    link.waiting = link.waiting.filter(({ position }) => position > last);
  }
};

// src/broker/commands.ts
var Commands = class {
  #parts;
  constructor(parts) {
    this.#parts = parts;
  }
  tell(connection, line) {
    this.#parts.connections.tell(connection, line);
  }
  close(connection, code, reason) {
    this.#parts.lifecycle.close(connection, code, reason);
  }
  carryOut(connection, step) {
    switch (step.kind) {
      case "announce":
        return this.#announce(connection, step.channel, step.lines, step.count);
      case "subscribe":
        return this.#subscribe(connection, step.channel);
      case "unsubscribe":
        this.#parts.lifecycle.unsubscribe(connection, step.channel);
        return void 0;
      case "ping":
        this.#parts.counters.count("pings");
        this.tell(connection, formatTime(this.#parts.world.now()));
        return void 0;
      case "info":
        return this.#info(connection);
      case "token":
        return this.#parts.tokens.renew(connection, step.token);
    }
  }
  #announce({ grants }, channel, lines, count) {
    if (!mayAnnounce(grants, channel)) {
      throw new CommandError("cannot announce: your token does not allow this channel");
    }
    return this.#parts.router.announce(channel, lines, count)?.catch((error) => {
      if (error instanceof QueueFull) throw new CommandError(`cannot announce: ${error.message}; try again`);
      if (wasNotMade(error)) throw new CommandError("cannot announce: too much is under way; try again");
      const isOverloaded = error instanceof CallFailed && error.why === "overloaded";
      const why = isOverloaded ? "is overloaded" : "does not answer";
      throw new CommandError(`an announcement may be lost: its channel's object ${why}`);
    });
  }
  #subscribe(connection, channel) {
    const { grants, channels } = connection;
    if (!maySubscribe(grants, channel)) {
      throw new CommandError("cannot subscribe: your token does not allow this channel");
    }
    if (!channels.has(channel)) {
      const most = this.#parts.maxChannelsPerConnection;
      if (channels.size >= most) {
        throw new CommandError(`cannot subscribe: a connection has at most ${most} channels`);
      }
      if (this.#parts.connections.isFull) {
        throw new CommandError(
          "cannot subscribe: too many subscriptions are held here; connect again, for others"
        );
      }
      if (!fits([...channels, channel], grants)) {
        throw new CommandError(
          "cannot subscribe: the names of this connection's channels are too long together"
        );
      }
    }
    if (!this.#parts.router.isLive(channel)) return this.#joinAndSubscribe(connection, channel);
    this.#parts.lifecycle.subscribe(connection, channel);
    return void 0;
  }
  async #joinAndSubscribe(connection, channel) {
    const { router, lifecycle } = this.#parts;
    try {
      while (!router.isLive(channel)) await router.join(channel);
    } catch (error) {
      const why = error instanceof Unreachable ? error.message : "it failed";
      throw new CommandError(`cannot subscribe: ${why}; try again`);
    }
    if (connection.closed) router.leaveIfUnheard(channel);
    else lifecycle.subscribe(connection, channel);
  }
  async #info(connection) {
    const lines = await this.#parts.reporter.info().catch(() => {
      throw new CommandError("info is not to be had now: the object that adds it up does not answer");
    });
    this.tell(connection, lines);
  }
};

// src/broker/flush.ts
var QUIET_TURNS = 2;
var MAX_TURNS = 64;
var Flush = class {
  #world;
  #activity;
  #connections;
  #send;
  #flushing = false;
  #done = Promise.resolve();
  /** @param send sends all that has been gathered */
  constructor(world, activity, connections, send) {
    this.#world = world;
    this.#activity = activity;
    this.#connections = connections;
    this.#send = send;
  }
  /** Resolves when all that has been gathered so far is sent. */
  get done() {
    return this.#done;
  }
  /** Sends what has been gathered, when what is already waiting to come in has been taken in too. */
  soon() {
    if (this.#flushing) return;
    this.#flushing = true;
    this.#done = this.#whenQuiet();
    this.#world.keep(this.#done);
  }
  /** Whatever happens to the turns, what has been gathered goes out, and the next flush can begin. */
  async #whenQuiet() {
    try {
      await this.#takeIn();
    } finally {
      this.#flushing = false;
      this.#send();
    }
  }
  /**
   * Turns the event loop until nothing new comes in. What is sent costs the same however much it is, so
   * it pays to send once; and as each turn ends at once, nothing waits for what is not there yet.
   * A turn costs about as much as a send, so there are at most a quarter as many as sockets to send to.
   * If even then more comes in, this object is flooded, and lets the runtime take in all there is, once:
   * so no flood can put off for long what is due to others.
   */
  async #takeIn() {
    let quiet = 0;
    for (let turn = 0, seen = this.#activity.count; quiet < QUIET_TURNS && turn < this.#mostTurns; turn++) {
      await this.#world.turn();
      quiet = seen === this.#activity.count ? quiet + 1 : 0;
      seen = this.#activity.count;
    }
    if (quiet < QUIET_TURNS) await this.#world.sleep(0);
  }
  get #mostTurns() {
    return Math.min(MAX_TURNS, Math.max(QUIET_TURNS, this.#connections.due >> 2));
  }
};

// src/broker/lifecycle.ts
var ROOT_GRACE = 2e3;
var GREETING_GRACE = 1e4;
var Lifecycle = class {
  #world;
  #connections;
  #router;
  #counters;
  /** Undefined where the number of connections is not limited. */
  #limit;
  #emptied;
  /** When connections were greeted that are not known to have taken that yet. */
  #greeted = /* @__PURE__ */ new Map();
  /** @param emptied called when the last connection has gone */
  constructor(world, connections, router, counters, limit, emptied) {
    this.#world = world;
    this.#connections = connections;
    this.#router = router;
    this.#counters = counters;
    this.#limit = limit;
    this.#emptied = emptied;
  }
  /** Lets a connection in, if it may come in; its greeting says that it hears this object's channel and `all`. */
  async greet(connection) {
    if (this.#limit) await this.#awhile(this.#admit(connection, this.#limit));
    if (connection.closed) return;
    this.#counters.count("connections");
    this.#counters.holds(this.#connections.size);
    const joined = this.#router.joinEveryone();
    if (joined) await this.#awhile(joined);
    const channel = channelOf(this.#world.name);
    try {
      while (!connection.closed && !this.#router.isLive(channel)) await this.#router.join(channel);
    } catch (error) {
      const why = error instanceof Unreachable ? error.message : "it failed";
      this.close(connection, TRY_AGAIN, `the channel cannot be heard: ${why}; connect again`);
      return;
    }
    if (connection.closed) this.#router.leaveIfUnheard(channel);
    else {
      for (const heard of /* @__PURE__ */ new Set([EVERYONE, channel])) this.subscribe(connection, heard);
      this.#connections.tell(connection, GREETING);
      this.#greeted.set(connection, this.#world.now());
    }
  }
  /** Subscribes a connection to a channel that reaches this object, unless it is subscribed already. */
  subscribe(connection, channel) {
    if (connection.channels.has(channel)) return;
    this.#connections.subscribe(connection, channel);
    this.#counters.count("subscribes");
  }
  /** Ends a subscription, if there is one. */
  unsubscribe(connection, channel) {
    if (!connection.channels.has(channel)) return;
    this.#connections.unsubscribe(connection, channel);
    this.#counters.count("unsubscribes");
    this.#router.leaveIfUnheard(channel);
  }
  /** Closes a connection with a WebSocket close code and a reason. */
  close(connection, code, reason) {
    if (connection.closed) return;
    this.#end(connection, () => this.#connections.close(connection, code, reason));
  }
  /** A socket has closed by itself. */
  gone(socket) {
    const connection = this.#connections.of(socket);
    if (connection) this.#end(connection, () => this.#connections.remove(connection));
  }
  /**
   * Closes connections that do not take their greeting. The runtime does not tell that a client has gone
   * before its request was answered: nothing else would ever end what it has left.
   * @returns whether there are some of which that is not known yet
   */
  closeUnreached() {
    for (const [connection, since] of this.#greeted) {
      if (connection.closed || connection.outbox.hasTaken) this.#greeted.delete(connection);
      else if (this.#world.now() - since >= GREETING_GRACE) {
        this.close(connection, TRY_AGAIN, "the greeting was not taken; connect again");
      }
    }
    return this.#greeted.size > 0;
  }
  /** Waits for the root of `all`, but not so long that the service fails with it. */
  #awhile(work) {
    return this.#world.within(ROOT_GRACE, work);
  }
  /** Lets a connection in, or turns it away if it is one too many. */
  async #admit(connection, limit) {
    const admitted = await limit.admit();
    if (connection.closed && admitted) limit.release();
    if (connection.closed) return;
    connection.admitted = admitted;
    if (admitted) return;
    this.#connections.tell(connection, BUSY);
    this.close(connection, TRY_AGAIN, "the service has as many connections as it may; try again later");
  }
  /** Ends what was only there for a connection. */
  #end(connection, end) {
    const channels = [...connection.channels];
    end();
    this.#counters.count("unsubscribes", channels.length);
    for (const channel of channels) this.#router.leaveIfUnheard(channel);
    this.#router.leaveIfUnheard(EVERYONE);
    if (connection.admitted) this.#limit?.release();
    if (this.#connections.size === 0) this.#emptied();
  }
};

// src/figures/info.ts
var SOCKETS_OF_AN_OBJECT = 32768;
function formatInfo(figures, clientLimit, now) {
  const { totals } = figures;
  const rows = [
    ["uptime", formatDuration(now - figures.since)],
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
  return rows.map(([key, value]) => formatFigure(key, value)).join("");
}
function formatDuration(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1e3));
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  return `${Math.floor(hours / 24)}d ${hours % 24}h ${minutes % 60}m ${seconds % 60}s`;
}

// src/figures/polling.ts
var ALWAYS_ASKED = 100;
var TOLD_FOR = 10;
var Polling = class {
  #ask;
  #now;
  /** Ends when the question that goes round now is answered. */
  #current = Promise.resolve();
  /** The question that goes round after that. */
  #next;
  #told;
  /** @param ask asks everyone */
  constructor(ask, now) {
    this.#ask = ask;
    this.#now = now;
  }
  /** One question goes round at a time; all who want to know meanwhile share the answer to the next one. */
  figures() {
    if (this.#told && this.#now() < this.#told.until) return Promise.resolve(this.#told.figures);
    this.#next ??= this.#askNext();
    return this.#next;
  }
  async #askNext() {
    await this.#current;
    this.#next = void 0;
    const asking = this.#ask();
    this.#current = asking.catch(() => {
    });
    const figures = await asking;
    const objects = figures.objects + figures.unreachable;
    if (objects > ALWAYS_ASKED) this.#told = { figures, until: this.#now() + objects * TOLD_FOR };
    return figures;
  }
};

// src/figures/service.ts
function isServiceRow(row) {
  return isRecord(row) && isNumber(row.since) && isNumber(row.peak) && isTotals(row.totals);
}
var SERVICE = "service";
var Service = class {
  #store;
  #row;
  constructor(store, now) {
    this.#store = store;
    this.#row = rowOf(store.get(SERVICE), isServiceRow) ?? { since: now, peak: 0, totals: noTotals() };
  }
  /** Notes that the service is in use, and that it had `connections` at one time. */
  note(connections) {
    if (connections <= this.#row.peak && this.#store.get(SERVICE) !== void 0) return;
    this.#row.peak = Math.max(this.#row.peak, connections);
    this.#write();
  }
  /** Takes over the totals of an object whose link has ended, while `others` connections were there. */
  takeOver({ totals, peak }, others) {
    this.#row.totals = sumOf(this.#row.totals, totals);
    this.#row.peak = Math.max(this.#row.peak, peak + others);
    this.#write();
  }
  /** What the whole service says of itself, given what all that is linked says together. */
  figures(linked) {
    this.note(linked.peak);
    const { since, peak, totals } = this.#row;
    const { handover: _, ...figures } = linked;
    return {
      ...figures,
      since,
      peak,
      totals: sumOf(totals, linked.totals),
      channels: linked.channels.length
    };
  }
  #write() {
    this.#store.put(SERVICE, this.#row);
  }
};

// src/broker/reporter.ts
var Reporter = class {
  #world;
  #connections;
  #downstream;
  #counters;
  #clientLimit;
  #polling;
  /** At the root of `all`. */
  #service;
  constructor(world, connections, downstream, counters, clientLimit) {
    this.#world = world;
    this.#connections = connections;
    this.#downstream = downstream;
    this.#counters = counters;
    this.#clientLimit = clientLimit;
    if (world.name === EVERYONE) this.#service = new Service(world.store, world.now());
    this.#polling = new Polling(() => this.#poll(), world.now);
  }
  /** The lines that answer `info`. */
  async info() {
    const figures = await (this.#service ? this.serviceFigures() : this.#world.call(EVERYONE, "serviceFigures", void 0));
    return formatInfo(figures, this.#clientLimit, this.#world.now());
  }
  /** Of the whole service; only the root of `all` can tell. */
  serviceFigures() {
    return this.#polling.figures();
  }
  async #poll() {
    if (!this.#service) throw new Error("only the root of `all` knows the figures of the service");
    return this.#service.figures(await this.figures());
  }
  /** Of this object, and in the tree of `all` of those linked to it. */
  async figures() {
    if (channelOf(this.#world.name) !== EVERYONE) return this.#own();
    const objects = [...this.#downstream.objects];
    const asked = objects.map(async (object) => {
      const epoch = this.#downstream.epochOf(object);
      return { object, epoch, figures: await this.#world.call(object, "figures", void 0) };
    });
    const outcomes = await Promise.allSettled(asked);
    const answered = outcomes.flatMap((outcome) => outcome.status === "fulfilled" ? [outcome.value] : []);
    const linked = answered.filter(({ object, epoch }) => epoch === this.#downstream.epochOf(object));
    return sumOfFigures(this.#own(), linked, objects.length - answered.length);
  }
  #own() {
    const { size, subscriptions, channels } = this.#connections;
    return {
      ...this.#counters.figures(size),
      connections: size,
      subscriptions,
      requested: subscriptions - this.#connections.subscribers(EVERYONE),
      channels: [...channels],
      objects: size > 0 ? 1 : 0,
      unreachable: 0
    };
  }
  /** Takes over the totals of an object whose link has ended. */
  takeOver(handover) {
    if (parentOf(this.#world.name) !== void 0) this.#counters.takeOver(handover);
    else this.#service?.takeOver(handover, this.#downstream.size + this.#connections.size);
  }
  /** The last connection has gone. Other objects hand over how many they had at most. */
  emptied() {
    this.#service?.note(this.#counters.takePeak() + this.#downstream.size);
  }
  /** Writes what has changed, now and then. */
  save() {
    this.#counters.save();
  }
  /** Has what must not be forgotten outlive this object's time in memory. */
  settle() {
    this.#counters.settle();
    this.#service?.note(0);
  }
};

// src/broker/room.ts
var Room = class {
  #world;
  #most;
  /** How many there are of what can fill this object up, its links to children not counted. */
  #count;
  #children = /* @__PURE__ */ new Map();
  /** What this child has told its parent. */
  #told = { sockets: false, links: false };
  constructor(world, limits, count) {
    this.#world = world;
    this.#most = { sockets: limits.socketsPerObject, links: limits.linksPerObject };
    this.#count = count;
  }
  isChild(object) {
    return parentOf(object) === this.#world.name;
  }
  isFull(load) {
    return this.#count(load) >= this.#most[load];
  }
  /** Notes that a child is there. */
  add(child, region) {
    if (this.#children.has(child)) return;
    this.#children.set(child, { region, full: { sockets: false, links: false } });
  }
  /** Notes that a child is empty; its number is free again. */
  remove(child) {
    this.#children.delete(child);
  }
  /** Notes whether a child has room. */
  note({ child, load, full }) {
    this.add(child, "");
    const known = this.#children.get(child);
    if (known) known.full[load] = full;
  }
  /**
   * Where the next connection from `region` is to go.
   * @param full the child that turned out to be full; "" if none did
   * @param below whether it is to be placed below this object, if not here
   * @returns undefined for here
   */
  placeFor(region, full, below) {
    if (full !== "") this.note({ child: full, load: "sockets", full: true });
    if (!this.isFull("sockets")) return void 0;
    if (parentOf(this.#world.name) !== void 0 && !below) return { object: "", below: true };
    return this.#choose("sockets", region);
  }
  /** The child for the next link. */
  childForLink() {
    return this.#choose("links", "").object;
  }
  /** Tells this object's parent when it is full, and again when an eighth is free. */
  tellParent(load) {
    const { name } = this.#world;
    const parent = parentOf(name);
    if (parent === void 0) return;
    const most = this.#most[load];
    const enough = this.#told[load] ? most - Math.max(1, most >> 3) + 1 : most;
    const full = this.#count(load) >= enough;
    if (full === this.#told[load]) return;
    this.#told[load] = full;
    this.#world.keep(this.#world.call(parent, "fill", { child: name, load, full }).catch(() => {
    }));
  }
  /**
   * One of that region with room, else a new one if there may be more, else any with room, else any, for it to
   * pass on.
   */
  #choose(load, region) {
    const roomy = [...this.#children].filter(([, child]) => !child.full[load]);
    const near = roomy.find(([, child]) => child.region === region || region === "");
    if (near) return { object: near[0], below: false };
    if (this.#children.size < this.#most.links) {
      const object = this.#free();
      this.add(object, region);
      return { object, below: false };
    }
    const anyone = Math.floor(this.#world.random() * this.#children.size);
    const [any = [...this.#children][anyone]] = roomy;
    return { object: any?.[0] ?? this.#free(), below: roomy.length === 0 };
  }
  #free() {
    for (let n = 1; ; n++) {
      const name = childOf(this.#world.name, n);
      if (!this.#children.has(name)) return name;
    }
  }
};

// src/broker/router.ts
var Router = class {
  #world;
  #connections;
  #downstream;
  #counters;
  #events;
  #upstream;
  #forwarding;
  /** The channel whose root this object is, or a child of it. */
  #own;
  /** @param maxBuffered characters that may wait for one other channel's object */
  constructor(world, connections, downstream, counters, maxBuffered, events) {
    this.#world = world;
    this.#connections = connections;
    this.#downstream = downstream;
    this.#counters = counters;
    this.#events = events;
    this.#own = channelOf(world.name);
    const accounts = (channel) => channel === EVERYONE ? counters : void 0;
    this.#upstream = new Upstream(world, downstream.log, this, accounts, connections.size > 0);
    this.#forwarding = new Forwarding(world, maxBuffered);
    this.#upstream.leaveUnheard();
  }
  // --- the way of a message
  /**
   * Announces messages, formatted as lines, next to each other.
   * @returns what resolves when they have their positions, and what comes of them here has been handed on
   * @throws QueueFull if none was announced; anything else if nobody knows
   */
  announce(channel, lines, count) {
    if (!this.#isRootOf(channel)) return this.#announceAfar(channel, lines, count);
    this.#counters.count("announcements", count);
    this.take({ lines, count });
    return void 0;
  }
  async #announceAfar(channel, lines, count) {
    const last = await this.#forwarding.forward(channel, lines, count);
    this.#counters.count("announcements", count);
    await this.#upstream.reached(channel, last);
  }
  /** Gives messages of this root's channel their positions, and passes them on; says the last one's. */
  take({ lines, count }) {
    const last = this.#downstream.append(lines, count);
    this.#publish(this.#own, lines, count);
    return last;
  }
  /** Takes what another object passes on. */
  deliver(delivery) {
    return this.#upstream.deliver(delivery);
  }
  hear(channel, lines, count, after) {
    if (channel === this.#own) this.#downstream.relay(lines, count, after);
    this.#publish(channel, lines, count);
  }
  #publish(channel, lines, count) {
    this.#connections.publish(channel, lines);
    this.#counters.count("messages", count * this.#connections.subscribers(channel));
  }
  lose(channel) {
    this.#events.lost(channel);
    if (channel === this.#own) this.#downstream.loseAll();
    if (channel === EVERYONE) this.joinEveryone();
  }
  // --- which channels reach this object
  /** Whether messages of `channel` reach this object. */
  isLive(channel) {
    return this.#isRootOf(channel) || this.#upstream.isLinked(channel);
  }
  /**
   * Links this object to `channel`. Whoever waits has to look whether that still holds when it goes on:
   * someone else who waited for the same link may have ended it by leaving.
   * @throws Unreachable if that is not to be had
   */
  join(channel) {
    return this.#upstream.join(channel);
  }
  /**
   * Whether another object may rely on this one for its own channel, without this one asking its parent first.
   * @param vouched the epoch of the link that its parent counts on, as the other object was told
   */
  isVouchedFor(vouched) {
    return this.#isRootOf(this.#own) || this.#upstream.isVouchedFor(this.#own, vouched);
  }
  /** Has this object make sure of the link to its own channel before others rely on it. */
  doubtOwn() {
    this.#upstream.doubt(this.#own);
  }
  listens(channel) {
    if (channel === this.#own && this.#downstream.size > 0) return true;
    if (channel === EVERYONE) return this.#connections.size > 0;
    return this.#connections.subscribers(channel) > 0;
  }
  /** Ends the link to `channel`, or to this object's own one, if that is there for nobody any more. */
  leaveIfUnheard(channel = this.#own) {
    if (!this.#isRootOf(channel) && !this.listens(channel)) this.#upstream.leave(channel);
  }
  /** Whether every socket here can hear `all`. */
  get hearsEveryone() {
    return !this.listens(EVERYONE) || this.isLive(EVERYONE);
  }
  /** Links this object to `all` if its sockets need that; undefined if they do not. Never rejects. */
  joinEveryone() {
    if (this.hearsEveryone) return void 0;
    const joined = this.#upstream.join(EVERYONE).catch(() => this.#events.unfinished());
    this.#world.keep(joined);
    return joined;
  }
  /** Notes where this object's connections come from, unless that is known. */
  comeFrom(region) {
    this.#upstream.region ||= region;
  }
  #isRootOf(channel) {
    return channel === this.#world.name;
  }
};

// src/broker/tokens.ts
var Tokens = class {
  #world;
  #connections;
  #alarm;
  #verify;
  /** @param verify undefined on a server without tokens */
  constructor(world, connections, alarm, verify) {
    this.#world = world;
    this.#connections = connections;
    this.#alarm = alarm;
    this.#verify = verify;
  }
  /** A connection has these grants now: the alarm is to go off when the first of all end. */
  watch({ until }) {
    if (until < this.#alarm.expiry) this.#alarm.expireAt(until);
  }
  hasExpired({ grants }) {
    return hasEnded(grants, this.#world.now());
  }
  /** The connections whose grants have ended. */
  get expired() {
    return [...this.#connections].filter((connection) => this.hasExpired(connection));
  }
  /**
   * Has a new token take the place of the one that a connection came with, and tells it so.
   * @throws CommandError if the token is not good, or not enough
   */
  async renew(connection, token) {
    const grants = await this.#granted(token);
    if (connection.closed) return;
    const heard = [...connection.channels].find((channel) => !maySubscribe(grants, channel));
    if (heard !== void 0) {
      throw new CommandError(
        `cannot renew: the token does not allow '${heard}', to which you are subscribed`
      );
    }
    if (!fits(connection.channels, grants)) {
      throw new CommandError(
        "cannot renew: the names of this connection's channels and grants are too long together"
      );
    }
    this.#connections.grant(connection, grants);
    this.watch(grants);
    this.#connections.tell(connection, formatAccepted(grants.until));
  }
  async #granted(token) {
    if (!this.#verify) throw new CommandError("no token is needed here");
    try {
      return await this.#verify(token);
    } catch (error) {
      if (error instanceof TokenError) throw new CommandError(`the token is not good: ${error.message}`);
      if (error instanceof NoKeys)
        throw new CommandError(`cannot check the token: ${error.message}; try again`);
      throw error;
    }
  }
};
function firstExpiry(connections) {
  let first = Number.POSITIVE_INFINITY;
  for (const { grants } of connections) if (grants) first = Math.min(first, grants.until);
  return first;
}

// src/broker/broker.ts
var FRESH = 1;
var UPGRADE = 2;
var Broker = class {
  #world;
  #peers;
  #maxGathered;
  #connections;
  #downstream;
  #router;
  #lifecycle;
  #inbox;
  #tokens;
  #reporter;
  #room;
  /** Undefined where the number of connections is not limited. */
  #limit;
  #batches = new BatchNumbers();
  #activity;
  #alarm;
  #flush;
  /**
   * Takes up where an earlier life of this object ended.
   * @param verify undefined on a server without tokens
   */
  constructor(platform, sockets, limits, verify) {
    const { maxBufferedBytes, clientLimit } = limits;
    this.#peers = new Peers(platform, () => this.#alarm.beginAnew());
    const world = { ...platform, call: (...call) => this.#peers.call(...call) };
    const unfinished = () => this.#unfinished();
    const due = () => this.#flush.soon();
    this.#world = world;
    this.#maxGathered = maxBufferedBytes / 4;
    this.#activity = new Activity(world, {
      passed: () => this.#passed(),
      settle: () => this.#settle()
    });
    const connections = new Connections(sockets, maxBufferedBytes, world.now, due);
    this.#connections = connections;
    const counters = new Counters(world, connections);
    this.#alarm = new Alarm(world, firstExpiry(connections));
    this.#flush = new Flush(world, this.#activity, connections, () => this.#send());
    this.#downstream = new Downstream(world, maxBufferedBytes, {
      busy: (rest) => this.#alarm.watch(rest),
      due,
      handover: (handover) => this.#reporter.takeOver(handover),
      ended: (object) => this.#linkEnded(object)
    });
    this.#room = new Room(world, limits, (load) => this.#count(load));
    const events = { lost: (channel) => this.#closeSubscribers(channel), unfinished };
    this.#router = new Router(world, connections, this.#downstream, counters, maxBufferedBytes, events);
    if (clientLimit > 0) {
      this.#limit = new ClientLimit(world, clientLimit, counters, connections.size, unfinished);
    }
    const emptied = () => this.#emptied();
    this.#lifecycle = new Lifecycle(world, connections, this.#router, counters, this.#limit, emptied);
    this.#tokens = new Tokens(world, connections, this.#alarm, verify);
    this.#reporter = new Reporter(world, connections, this.#downstream, counters, clientLimit);
    const commands = new Commands({
      world,
      connections,
      counters,
      router: this.#router,
      lifecycle: this.#lifecycle,
      tokens: this.#tokens,
      reporter: this.#reporter,
      maxChannelsPerConnection: limits.maxChannelsPerConnection
    });
    this.#inbox = new Inbox(commands, limits, world.now);
    this.#takeUp();
  }
  /** Goes on with what an earlier life left. */
  #takeUp() {
    for (const object of this.#downstream.objects) if (this.#room.isChild(object)) this.#room.add(object, "");
    if (this.#downstream.isBusy) this.#flush.soon();
  }
  // --- events of this object's own sockets
  /** Where the next connection is to go, if not here; see `Room.placeFor`. */
  placeFor(region, full, below) {
    return this.#room.placeFor(region, full, below);
  }
  /** A new connection, from somewhere, with what its token grants. */
  opened(socket, region = "", grants) {
    this.#event(UPGRADE);
    this.#router.comeFrom(region);
    const connection = this.#connections.accept(socket, grants);
    if (grants) this.#tokens.watch(grants);
    this.#world.keep(this.#inbox.begin(connection, this.#lifecycle.greet(connection)));
    this.#room.tellParent("sockets");
  }
  received(socket, frame) {
    this.#event(FRESH);
    const connection = this.#connections.of(socket);
    if (!connection) return;
    if (this.#tokens.hasExpired(connection)) this.#closeExpired(connection);
    else this.#keep(this.#inbox.receive(connection, frame));
    this.#sendIfMuch();
  }
  closed(socket) {
    this.#event(FRESH);
    this.#lifecycle.gone(socket);
    this.#room.tellParent("sockets");
  }
  /**
   * The alarm has gone off: goes on with what an earlier life of this object, or an unreachable other one,
   * left unfinished, and closes the connections whose grants have ended.
   */
  alarmed() {
    this.#peers.arrived(FRESH);
    const joined = this.#router.joinEveryone();
    if (this.#limit?.isKnown === false) this.#limit.recount();
    const expired = this.#tokens.expired;
    for (const connection of expired) this.#closeExpired(connection);
    this.#alarm.expireAt(firstExpiry(this.#connections));
    if (this.#downstream.isBusy) this.#alarm.watch();
    if (this.#downstream.isBusy) this.#flush.soon();
    if (joined || expired.length > 0 || this.#world.alarmTime() !== void 0) this.#activity.note();
  }
  /** An event has come that is so many hops deep. */
  #event(hop) {
    this.#peers.arrived(hop);
    this.#activity.note();
  }
  // --- calls from other objects; `links/messages.ts` says what they mean
  /** Answers a call; which hop it is an older version does not say. */
  called(kind, ask, hop) {
    return this.#peers.answer(hop, () => carryOut(this, kind, ask));
  }
  async link(request) {
    this.#activity.note();
    const { from, region = "", still, vouched } = request;
    if (!this.#router.isVouchedFor(vouched)) {
      const channel = channelOf(this.#world.name);
      this.#router.doubtOwn();
      while (!this.#router.isLive(channel)) await this.#router.join(channel);
    }
    if (this.#room.isChild(from)) {
      if (!still) this.#room.add(from, region);
    } else if (!still && this.#downstream.epochOf(from) === void 0 && this.#room.isFull("links")) {
      const instead = this.#room.childForLink();
      return { instead, vouched: this.#downstream.vouchFor(instead) };
    }
    const answer = this.#downstream.link(request);
    this.#room.tellParent("links");
    return answer;
  }
  unlink(request) {
    this.#activity.note();
    this.#downstream.unlink(request);
  }
  /** Answers when what was delivered has been sent on, so that meanwhile more gathers for the next call. */
  async deliver(delivery) {
    this.#activity.note();
    const answer = this.#router.deliver(delivery);
    this.#sendIfMuch();
    await this.#flush.done;
    return answer;
  }
  forward(batch) {
    const newer = this.#batches.newerThan(batch);
    if (newer !== void 0) return { newer };
    this.#activity.note();
    const last = this.#router.take(batch);
    this.#sendIfMuch();
    return { last };
  }
  fill(filling) {
    this.#room.note(filling);
  }
  claim(claim) {
    this.#activity.note();
    return this.#limit?.claim(claim) ?? claim.wanted;
  }
  recount() {
    this.#activity.note();
    this.#limit?.recount();
  }
  /** Changes nothing, so it does not keep this object in memory for longer than it takes. */
  figures() {
    return this.#reporter.figures();
  }
  serviceFigures() {
    this.#activity.note();
    return this.#reporter.serviceFigures();
  }
  // --- what parts tell of each other
  #count(load) {
    if (load === "sockets")
      return this.#connections.isCrowded ? Number.POSITIVE_INFINITY : this.#connections.size;
    return [...this.#downstream.objects].filter((object) => !this.#room.isChild(object)).length;
  }
  #linkEnded(object) {
    if (this.#room.isChild(object)) this.#room.remove(object);
    this.#router.leaveIfUnheard();
    this.#room.tellParent("links");
  }
  #closeSubscribers(channel) {
    for (const connection of this.#connections.subscribersOf(channel)) {
      this.#lifecycle.close(connection, TRY_AGAIN, "messages may be missing; connect again");
    }
  }
  #closeExpired(connection) {
    this.#lifecycle.close(connection, POLICY, "your token has expired; connect again with a new one");
  }
  /** The last connection has gone. */
  #emptied() {
    this.#alarm.expireAt(Number.POSITIVE_INFINITY);
    this.#reporter.emptied();
  }
  #keep(work) {
    if (work) this.#world.keep(work);
  }
  // --- what is done after an event
  /** Sends what has been gathered, and closes who does not take it: nobody else is to wait or pay for that. */
  #send() {
    this.#sendToSockets();
    this.#downstream.flush();
  }
  #sendToSockets() {
    for (const connection of this.#connections.flush()) {
      const reason = "messages would be missing: you read too slowly; connect again";
      this.#lifecycle.close(connection, TRY_AGAIN, reason);
    }
  }
  /**
   * What has been gathered for sockets must not become much of what may wait for one of them, or a
   * flood would look like slow readers. Sending it takes time, which slows the flood down.
   */
  #sendIfMuch() {
    if (this.#connections.gathered > this.#maxGathered) this.#sendToSockets();
  }
  /** What is left to do has an alarm, which has to be known of when this object leaves memory. */
  #unfinished() {
    this.#alarm.watch();
    this.#activity.note();
  }
  #passed() {
    this.#reporter.save();
    return this.#lifecycle.closeUnreached();
  }
  #settle() {
    this.#reporter.settle();
    if (!this.#router.hearsEveryone) this.#alarm.watch();
    if (!this.#downstream.settle()) {
      this.#downstream.flush();
      this.#activity.note();
    }
    this.#world.store.release();
    this.#world.keep(this.#world.store.sync());
  }
};
function carryOut(answering, kind, ask) {
  return answering[kind](ask);
}

// src/broker/limits.ts
var SettingError = class extends Error {
};
function readLimits(variables) {
  return {
    socketsPerObject: wholeNumber(variables, "SOCKETS_PER_OBJECT", 1e4, 1, 32768),
    linksPerObject: wholeNumber(variables, "LINKS_PER_OBJECT", 100, 1, 1e3),
    maxLineBytes: wholeNumber(variables, "MAX_LINE_BYTES", 65536, 300, 1e6),
    maxChannelsPerConnection: wholeNumber(variables, "MAX_CHANNELS_PER_CONNECTION", 256, 2, 4e3),
    maxBufferedBytes: wholeNumber(variables, "MAX_BUFFERED_BYTES", 4194304, 1e6, 32e6),
    linesPerSecond: wholeNumber(variables, "LINES_PER_SECOND", 1e4, 1, 1e6),
    clientLimit: wholeNumber(variables, "CLIENT_LIMIT", 0, 0, 1e9)
  };
}
function wholeNumber(variables, name, fallback, least, most) {
  const value = variables[name];
  if (value === void 0 || value === "") return fallback;
  const number = /^\d+$/.test(String(value)) ? Number(value) : Number.NaN;
  if (Number.isSafeInteger(number) && number >= least && number <= most) return number;
  throw new SettingError(`${name} must be a whole number from ${least} to ${most}, not '${String(value)}'`);
}
export {
  Broker,
  CallFailed,
  TokenError,
  readLimits
};
