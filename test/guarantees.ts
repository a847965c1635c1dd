/**
 * What the documents guarantee: to each sentence, row and limit an identifier, which tests name as a tag.
 *
 *     test("a slow client is closed", { tags: ["slow-closed"] }, …);
 *
 * `npx vitest run --tags-filter slow-closed` runs the tests that prove a guarantee, and `npm run guarantees` lists them all.
 * A quotation must stand in its document word for word, so the two can't drift apart; line breaks don't matter.
 */
export const GUARANTEES: Record<string, Record<string, string>> = {
  "docs/guarantees.md": {
    // Order
    "order-shared": "All subscribers of a channel receive its messages in the same order.",
    "order-of-publisher": "Messages that one connection announces on one channel keep their order.",
    // Delivery
    "delivery-once":
      "A connection that stays open receives every message announced on its channels since its subscriptions took effect, exactly once.",
    "close-not-loss": "it closes the connection with [a code and a reason](protocol.md#close-codes)",
    "ping-barrier": "When its reply arrives, every earlier command of that connection has taken effect",
    "stored-first": "the server stores a message before any client receives it or learns its position",
    // Resume
    "position-counts": "it asks for its position once, and adds one for every message of that channel",
    "resume-exact":
      "receives a position line, then every missed message once, then live messages, with nothing lost or repeated in between",
    "resume-last": "`last <n>` returns the newest `n` retained messages to clients without a position.",
    "gap-named": "the server names the missing range first (`debug!gap`) and continues after it",
    "position-valid":
      "A position stays valid for one retention time after the server last sent it, or after the client left the channel.",
    // Retention
    "retention-limit":
      "The server retains each message for two minutes (`HISTORY_SECONDS`), up to 262,144 bytes per channel (`HISTORY_BYTES`).",
    "retained-readable": "Anyone who may subscribe to a channel can read its retained messages",
    "retention-end": "No client can read a message after its retention time.",
    "retention-erased": "deleted or overwritten later: at most 3.5 retention times after the announcement",
    "no-retention":
      "On a channel without retention, `since` and `last` only subscribe, and the client gets the error `no-history`. `once` announces nothing there.",
    // Idempotency keys
    "key-once":
      "announcing again with the same key announces nothing and returns the same position, whichever client sends it",
    "key-syntax": "A key has 1 to 64 bytes, without spaces and control characters.",
    "key-conflict": "A different message under the same key is refused (`conflict`)",
    "key-fits":
      "Messages under a key have to fit into `HISTORY_BYTES`, together with the key and 16 bytes of overhead.",
    "uncertain-told":
      "If the server doesn't know whether an announcement succeeded, the publisher gets the error `uncertain`.",
    // True presence
    "presence-channel": "Changes of the list are messages on `presence/<channel>`, with the guarantees above.",
    "presence-no-ghosts":
      "A member without connections leaves when `PRESENCE_GRACE_SECONDS` (15) and one second have passed since its last connection ended",
    "presence-no-flapping": "If a member enters again in that time, from any connection, nothing is announced",
    "presence-no-race": "A list of members is true at the position of `presence/<channel>` that it names.",
    "presence-exact": "A list is complete, and its count is the number of members.",
    "presence-barrier": "A command that got an error has changed nothing in the end",
    // Failures
    "crash-own-connections":
      "Its own connections end (1006), and resume. Connections in other objects continue and miss nothing.",
    "crash-unsure-link": "Its connections are closed (1013), because no object knows what they have received.",
    "crash-of-child": "Connections of objects that are linked to this child are closed (1013).",
    "crash-without-retention":
      "If all its messages had been delivered and one second had passed, other objects' connections don't notice.",
    "crash-uncertain": "The publisher gets `uncertain`. |",
    "slow-object": "Other objects and channels aren't delayed.",
    "all-unreachable": "They join `all` as soon as it is reachable",
    "deploy-resumes": "All connections end, and resume. Members who enter again in time never left.",
    "full-storage": "Messages still flow to connected clients, but nothing is retained: clients that resume get a gap.",
    "stale-removed": "Stale state is found and removed by ordinary traffic.",
    "calm-after-crash": "Connections that are made after a crash are not closed because of it",
    "close-sent-at-once": "A close frame is sent at once.",
    // Slow clients and backpressure
    "slow-closed":
      "| messages for one connection, plus 1,300 bytes for each frame | `MAX_BUFFERED_BYTES` | the connection is closed (1013) |",
    "object-buffer":
      "publishers in that object are held back; after half a second, the connections with the most pending bytes are closed (1013)",
    "commands-buffer": "| commands of one connection | `MAX_BUFFERED_BYTES` | the connection is closed (1008) |",
    "commands-of-object-buffer":
      "| commands of all connections of an object | 16 MB | the connection with the most pending bytes is closed (1008) |",
    "forwarding-buffer": "| announcements for one other channel | `MAX_BUFFERED_BYTES` | refused (`unavailable`) |",
    "forwarding-total": "| announcements for all other channels | 9 million characters | refused (`unavailable`) |",
    "link-buffer": "the links furthest behind are cut, and their connections closed (1013)",
    "resume-rate": "| missed messages for one connection | 4 million characters per second | refused (`rate`) |",
    "stream-buffer":
      "| an HTTP stream that isn't read | 5 million characters; 32 million for all streams of a Worker | the stream ends |",
    "publisher-slowed": "A publisher that sends faster than others read is slowed by TCP",
    // Limits
    "any-size": "A channel can have any number of connections. It grows into a tree of objects, and shrinks again.",
    "names-fit": "The names of one connection's channels have at most about 15,000 bytes together",
    "subscriptions-budget": "All subscriptions of one object take at most 32 MB.",
    "members-limit": "A channel has up to `MEMBERS_PER_CHANNEL` members",
    "frames-out": "Frames to clients have at most 64 KiB, unless a single line is longer.",
    "frames-in": "Frames from clients have at most `MAX_BUFFERED_BYTES`.",
    // What a line costs
    "cost-bounded":
      "no line of a client makes the server do more than this table says, on average over the lines of a connection",
    // Idle costs nothing
    "idle-free":
      "Without traffic, no object is in memory, sockets stay open, and only storage is billed. An object whose storage is empty gives it back",
    // Statistics
    "info-exact": "`info` is exact while the service is quiet and nothing fails.",
  },
  "docs/protocol.md": {
    // Lines and frames
    "frame-boundaries": "**Frame boundaries mean nothing, in both directions: split what you receive on `\\n`.**",
    "frame-types": "The server accepts text and binary frames, and sends text. It never compresses.",
    "channel-syntax": "A **channel** has 1 to 255 bytes, without `!`, spaces and control characters.",
    "message-bytes":
      "A **message** is everything after the single space behind the channel, byte for byte. It is never empty.",
    "key-of-once": "A **key** has 1 to 64 bytes, without spaces and control characters.",
    "position-range": "A **position** is a whole number up to 9,007,199,254,740,991",
    "lines-lenient": "Empty lines are ignored. Except in `announce` and `once`, several spaces count as one",
    // Commands
    "command-order":
      "The commands of a connection take effect in order. A command that fails changes nothing, and the commands around it are unaffected.",
    // Errors
    "error-invalid": "| `invalid` | a malformed line, an unknown command, a bad name |",
    "error-forbidden":
      "| `forbidden` | your token doesn't grant it, or isn't valid; or only the server announces there |",
    "error-expired": "| `expired` | your token is no longer valid |",
    "error-revoked": "| `revoked` | an operator revoked your token |",
    "error-limit": "| `limit` | a documented limit: too long, too many |",
    "error-rate": "| `rate` | too fast |",
    "error-unavailable": "| `unavailable` | not carried out |",
    "error-uncertain": "| `uncertain` | an announcement that may have been carried out",
    "error-no-history": "| `no-history` | the channel retains nothing",
    "error-conflict":
      "| `conflict` | the key was used for another message, or `If-Position` isn't the newest position |",
    // Close codes
    "close-lost": "| 1013 unavailable: messages may be missing | `lost` |",
    "close-slow": "| 1013 unavailable: the client reads too slowly | `slow` |",
    "close-unreachable": "| 1013 unavailable: …; connect again | `unreachable` |",
    "close-unkept": "| 1013 unavailable: the server can't store this connection's subscriptions | `unkept` |",
    "close-greeting": "| 1013 unavailable: the client didn't read the greeting | `greeting` |",
    "close-busy": "| 1013 unavailable: the service has reached its connection limit | `busy` |",
    "close-settings": "| 1013 unavailable: this server no longer requires tokens | `settings` |",
    "close-expired": "| 1008 expired: your token has expired | `expired` | `exp` was more than five seconds ago. |",
    "close-revoked": "| 1008 revoked: your token was revoked | `revoked` |",
    "close-outdated": "| 1008 expired: your token's key is no longer valid | `outdated` |",
    "close-unauthorized": "| 1008 expired: this server requires a token now | `unauthorized` |",
    "close-waiting": "| 1008 limit: too many commands are pending | `waiting` |",
    "close-rate": "| 1008 rate: far more than … lines per second | `rate` | More than twice `LINES_PER_SECOND`. |",
    "close-frame": "| 1009 limit: a frame has at most … bytes | `frame` |",
    // Announcing
    "post-together": "all lines get consecutive positions, or none is announced",
    "post-position": "`position` and the header `Fanout-Position` are the position of the last message.",
    "post-key":
      "`Idempotency-Key: <key>` works like `once`: repeating the request announces nothing and returns the same response.",
    "post-if-position": "`If-Position: <position>` announces only if that is still the newest position.",
    "body-limit": "A body has at most 1,000,000 bytes and `LINES_PER_SECOND` lines",
    "body-in-time":
      "A body must arrive within 30 seconds, with at least 4,096 bytes every 10 seconds (408). All bodies in one Worker share 16 MB of memory (503).",
    // Streams
    "stream-lines": "`GET /<channel>` streams the lines that a WebSocket would receive",
    "stream-alive": "After 20 silent seconds the stream sends `debug!alive`.",
    "stream-error": "A stream that ends because of an error sends `debug!error <code> connect: …` as its last line.",
    // Polling
    "poll-ends": "`GET /<channel>?poll&since=<position>` returns the missed messages and ends.",
    "poll-size": "One response has about a million characters at most; the next poll continues there.",
    // Members
    "members-pages": "A page has up to 1,000 members",
    // Server-sent events
    "events-resume": "`EventSource` reconnects by itself and misses nothing",
    "events-line-end": "`\\r` ends a line in this format, so a `\\r` in a message arrives as `\\n`.",
    "events-stop": "A client whose token has expired gets 204 when it reconnects",
    "events-retry":
      "A refusal with 429 or 503 is sent as a stream with a `debug` event `error <code> connect: …` and a longer `retry`",
    "events-last-id": "Polyfills that can't set headers send the last event's id as a parameter",
    "events-alive": "Every 20 seconds, a silent stream sends a comment.",
    // What requests cost
    "cost-open": "| opens a WebSocket, a stream or a poll | 10, and 10 for each further `?channel=` |",
    "cost-announce": "| announces | 10, and 1 for each message |",
    "cost-members": "| lists members | 10, and 1 for each 100 members of the channel, also if the page has fewer |",
    "cost-operators": "| reads `/-/info`, `/-/metrics`, `/-/channels` or `/-/channels/<channel>`, or revokes | 10 |",
    "cost-nothing": "| all others | 0 |",
    "address-limit": "An address may spend a whole second's budget at once.",
    "retry-after": "it gets 429, with the time to wait in `Retry-After`",
    // Status codes
    "status-400": "| 400 | `invalid`, `limit`, `no-history` |",
    "status-401": "| 401 | `forbidden`, `expired`, `revoked` |",
    "status-403": "| 403 | `forbidden` |",
    "status-404-405": "| 404, 405 | `invalid` |",
    "status-408": "| 408 | `unavailable` |",
    "status-409": "| 409 | `conflict` |",
    "status-412": "| 412 | `conflict` |",
    "status-413-415": "| 413, 415 | `limit`, `invalid` |",
    "status-426": "| 426 | `invalid` |",
    "status-429": "| 429 | `rate` |",
    "status-500": "| 500 | `unavailable`, `uncertain` |",
    "status-503": "| 503 | `unavailable`, `uncertain` |",
    "errors-readable": "Pages can read every error response, because errors have CORS headers, too.",
  },
  "docs/presence.md": {
    "member-name": "| a member's name | 1 to 64 bytes, without spaces and control characters | `invalid` |",
    "member-data": "| a member's data | 1,024 bytes, one line | `invalid` |",
    "member-channel": "| the channel's name | 246 bytes | `invalid` |",
    "members-size": "| members of a channel | `MEMBERS_PER_CHANNEL` (1,000), and 2 MB with their data | `limit`",
    "members-of-connection":
      "| a connection | one member per channel; the names of its channels and members and their data have about 15,000 bytes together | `limit` |",
    "members-rate":
      "| changes | 20 commands about members per second and connection, 5,000 per second and object with connections | `rate` |",
    "members-budget": "| members with connections at one object | 16 MB | `unavailable` |",
    "enter-subject": "If the token has a `sub`, it is the only name that the client may use",
  },
  "docs/settings.md": {
    "setting-refused": "With a value out of range, every request fails with a sentence that names the setting.",
    "line-length": "length of a line from a client; a longer one gets the error `limit`",
    "channels-limit": "subscriptions of one connection, including `all`",
    "lines-rate": "Up to twice as many get the error `rate`; beyond that, the connection is closed.",
    "client-limit": "A client beyond it gets `debug!busy` and is closed (1013).",
    "origins-limit": "admits only pages of these origins; others get 403",
    "token-lifetime": "Tokens with a longer one are refused (401 `forbidden`).",
  },
  "src/client/README.md": {
    // Subscriptions
    "client-once":
      "Each subscription has its own `since` or `last`, even if others subscribe to the same channel, and receives every message once and in order.",
    "client-buffer":
      'a message beyond `buffer` ends the subscription with an error; with `"oldest"` it replaces the oldest, which is a gap',
    "client-idle": "disconnects after a minute without subscriptions, presence and pending announcements",
    "client-barrier": "`ping()` resolves when all earlier calls have taken effect",
    // Presence
    "client-enter": "`enter(channel, member, data, { onEnd })` resolves when the server has carried it out.",
    "client-enters-again": "The client enters again by itself on each connection",
    "client-leave":
      "It resolves when the server has carried it out, or at once without a connection. `close()` waits for it.",
    "client-members":
      "Each change is reported once, after the map has it; after a gap, the client reports the difference to a new list.",
    "client-members-buffer": "A loop with more than 20,000 unread changes ends with an error.",
    "client-merges": "While it awaits the reply, further calls are merged",
    "client-enter-refused":
      "If the server refuses an `enter` for good, the promise rejects, and the client remains present as before.",
    "client-no-presence": "Over plain requests, the client follows members, but `enter` rejects with `unavailable`",
    // Errors
    "client-validates": "An invalid argument throws at once, with a sentence that says what would be valid.",
    "client-retries":
      "The client retries announcements with their keys, in order, after lost connections and temporary refusals.",
    "client-uncertain": "An announcement is `uncertain` if its timeout expires after it was sent",
    "client-pending": "Up to 20,000 announcements may be pending; further ones are refused (`limit`).",
    "client-slows-down": "If the server objects to a rate or a size, the client sends less at a time.",
    "client-errors-apart": "An error about one message or one channel affects only that one.",
    "client-failed": "everything pending fails with the same reason",
    // Tokens
    "client-renews": "half a minute before a token expires; the new token replaces the old one without a reconnect",
    "client-token-retry": "If the function throws or takes longer than 20 seconds, the client retries later",
    "client-revoked": "It neither calls its token function nor reconnects.",
    // States
    "client-backoff":
      "It waits for a random time between half a second and 20 seconds, longer after each failure until a connection has lasted ten seconds.",
    "client-wakes": "It tries at once when the network or the page is back.",
    "client-keepalive": "A `keepalive` every 25 seconds, which wakes no object, detects dead connections.",
    "client-close": "closes after all announcements are settled, at most after 2 s (default: 10 s)",
  },
  "src/auth/README.md": {
    "token-grants": "Without a list, nothing is granted.",
    "token-all": "Everyone receives `all`; to announce on it, the list has to name `all` itself.",
    "token-refused":
      "Without a valid token the response is 401; for a channel that the token doesn't grant it is 403. Both state the reason.",
    "token-renewed":
      "The new token has to grant all of the connection's subscriptions; presence that it doesn't grant ends.",
    "token-rate": "A connection may send ten tokens per second.",
    "token-rotation": "`TOKEN_SECRET_PREVIOUS` keeps tokens of the old secret valid while you replace it",
    "token-revoked": "ends ann's connections within seconds, and refuses the tokens that she has",
    "keys-refreshed":
      "After ten minutes they are refreshed in the background; while the issuer is unavailable, they stay valid for six hours.",
    "keys-unknown": "the server fetches the keys again, but at the earliest 30 seconds after the last attempt",
    "keys-unavailable": "If the keys can't be fetched at all, the server refuses all tokens (503).",
  },
  "src/worker/README.md": {
    "call-errors":
      "A call that fails throws an error whose `code` is one of the [error codes](../../docs/protocol.md#errors)",
    "mount-origins": "Only pages of the request's own origin may connect, and pages that `ALLOWED_ORIGINS` names",
  },
  "src/cli/README.md": {
    "cursor-ack": "Both repeat messages that were being processed, and lose none.",
    "cursor-once": "One run at a time can use a cursor.",
    "cursor-kept": "any other file that isn't a cursor is refused, and never overwritten",
    "command-secrets": "but without `FANOUT_TOKEN` and `TOKEN_SECRET`",
    "terminal-safe": "**Terminals** get control characters escaped",
    "pub-text": "refuses bytes that aren't UTF-8, with the number of the line",
    "pub-repeats":
      "run the command again with the same key and input: lines that the server has retained are not announced again",
    "exit-codes": "| 2 | invalid command line |",
    "bridge-resumes":
      "resumes at its position after lost connections, deployments and moves, so the programs don't notice them",
    "bridge-gap": "the bridge closes the program's connection",
    "bridge-slow": "A slow program resumes from the retained messages when it has drained its backlog (1 MB).",
    "bridge-browsers": "It drops connections that begin like HTTP or TLS before it executes anything",
  },
  "docs/self-hosting.md": {
    "serve-stored":
      "Each message is in the folder before its publisher gets an answer, and survives `kill -9` of the server.",
    "serve-no-orphan": "The runtime never outlives the command, even if the command is killed.",
    "serve-lock": "One server at a time can use a folder.",
    "serve-disk-full": "When the disk is full, announcements fail with `uncertain`",
  },
};

/** Each guarantee's identifier and quotation. */
export const QUOTATIONS: ReadonlyMap<string, string> = new Map(
  Object.values(GUARANTEES).flatMap((page) => Object.entries(page)),
);

/** The guarantees as tags of Vitest, which refuses any other tag. */
export const TAGS = [...QUOTATIONS].map(([name, description]) => ({ name, description }));
