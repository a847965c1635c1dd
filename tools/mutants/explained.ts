/** Why no test can kill some mutants, or none should. */

export interface Explanation {
  reason: string;
  /** By file: the code, ` → `, and what it becomes, as the report prints them. */
  mutants: Record<string, string[]>;
}

export const EXPLAINED: Explanation[] = [
  {
    reason: "Types demand a default or a check; the value is always there, or isn't used.",
    mutants: {
      "src/channel/retained.ts": ["newest?.batches ?? [] → newest?.batches"],
      "src/session/inbox.ts": ['if ("channel" in step) → if (true)'],
      "src/channel/channel-log.ts": ["sendsPosition = false → sendsPosition"],
      "src/tree/upstream.ts": ["last = 0 → last"],
      // A log that knows its position has a start.
      "src/tree/catch-up.ts": ["start = position → start"],
      "src/client/transport.ts": ['why = "" → why'],
      "src/protocol/commands.ts": [
        "/^enter *([^ ]*) *([^ ]*) ?(.*)$/s.exec(line) ?? [] → /^enter *([^ ]*) *([^ ]*) ?(.*)$/s.exec(line)",
        'member = "" → member',
      ],
      "src/protocol/errors.ts": ['code = "" → code'],
      "src/object/claims.ts": [
        "rowOf(this.#parts.runtime.store.get(TOLD), isNumber) ?? 0 → rowOf(this.#parts.runtime.store.get(TOLD), isNumber)",
      ],
      "src/cli/doctor/http-delivery.ts": ['blocks.pop() ?? "" → blocks.pop()'],
    },
  },
  {
    reason: "Both do the same.",
    mutants: {
      // What is exactly as long as there is room fits either way, and nothing can follow.
      "src/channel/log.ts": ["lines.length + more.length > most → lines.length + more.length >= most"],
      // Nothing is looked up without a key.
      "src/channel/retained.ts": ["if (hasKey(appended)) → if (true)"],
      // One frame, by either way.
      "src/protocol/frames.ts": ["lines.length <= MAX_FRAME → lines.length < MAX_FRAME", "from = 0 → from"],
      // Names are unique.
      "src/protocol/members.ts": ["one < other → one <= other"],
      // Objects that aren't children can't be removed from them.
      "src/tree/router.ts": ["if (this.capacity.isChild(object)) → if (true)"],
      // There is no such row.
      "src/presence/member-rows.ts": ["part < head.parts → part <= head.parts"],
      // There is no answer only if nothing can be written.
      "src/bridge/tcp-client.ts": ["if (answer !== undefined) → if (true)"],
      // A member without data isn't in the map, either.
      "src/client/roster.ts": ['if (change.kind === "leave") → if (false)'],
    },
  },
  {
    reason: "It only saves time, memory or rows.",
    mutants: {
      // The row is written once more if the alarm goes off in the millisecond in which it was written.
      "src/channel/history.ts": ["at > now → at >= now"],
      // Deletes rows that don't exist.
      "src/presence/member-rows.ts": ["if (!this.#hasHead) → if (false)"],
      "src/presence/member-table.ts": ["this.#dueAt = first; → nothing"],
      // The default limit, which takes 10,000 connections to reach; tests set a lower one.
      "src/bridge/bridge.ts": ["maxClients = MAX_CLIENTS → maxClients"],
      // One more turn of the event loop.
      "src/object/schedule.ts": ["quiet < QUIET_TURNS → quiet <= QUIET_TURNS"],
      // Keeps an empty list in an attachment once.
      "src/presence/presence.ts": ["reports.size > 0 → reports.size >= 0"],
      // Stores counters in a row that is deleted when the object settles.
      "src/object/reporter.ts": ["if (this.#parts.connections.size > 0 || this.#service) → if (true)"],
      // Sets a timer for each message, instead of one for all.
      "src/client/subscription.ts": ["if (this.#isCheckDue) → if (false)"],
      // Messages that all links have are dropped from memory later.
      "src/tree/downstream.ts": ["this.trim(); → nothing"],
      // Keeps the same value again.
      "src/tree/unlinks.ts": ["if (areDoubtful !== areRowsDoubtful(this.#parts.connections)) → if (true)"],
      // Sets a timer again to the same time.
      "src/streams/environment.ts": ["armed.at <= at → armed.at < at"],
      // Renders events again that another stream of the same channels has rendered.
      "src/streams/event-stream.ts": [
        "if (known) → if (false)",
        "this.#id = formatId(positions); → nothing",
        "shared.remember({ channels: this.#channels, id, lines, events, positions, nextId: this.#id }); → nothing",
      ],
    },
  },
];
