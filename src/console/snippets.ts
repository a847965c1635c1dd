/** Code that repeats an action of a client. */
import { isVisible, literal, printfQuoted, shellQuoted } from "./quoting.ts";

export type Language = "curl" | "JavaScript" | "Python";

/** An action of a client; `last` is the number of newest messages with which the subscription begins. */
export type Action =
  | { kind: "announce"; channel: string; text: string }
  | { kind: "subscribe"; channel: string; last: number }
  | { kind: "enter"; channel: string; member: string; data: string }
  | { kind: "members"; channel: string };

/** The server for which the code is. */
export interface Target {
  /** Its address, without a slash at the end. */
  base: string;
  needsToken: boolean;
}

/** Returns code that repeats an action; with tokens, it takes the token from a variable, or names its place. */
export function snippetFor(language: Language, done: Action, target: Target): string {
  const action = sent(done);
  if (language === "JavaScript") return javaScript(action, target);
  if (action.kind === "enter")
    return "# HTTP can't enter a channel, because members need a connection; use JavaScript.";
  // Clients resolve these names in a path.
  if (/^\.{1,2}$/.test(action.channel)) return `# HTTP can't name the channel '${action.channel}'; use JavaScript.`;
  return language === "curl" ? curl(action, target) : python(action, target);
}

/** Returns an action as it is sent: in UTF-8, which has no lone surrogates. */
function sent(action: Action): Action {
  const channel = action.channel.toWellFormed();
  if (action.kind === "announce") return { ...action, channel, text: action.text.toWellFormed() };
  if (action.kind !== "enter") return { ...action, channel };
  return { ...action, channel, member: action.member.toWellFormed(), data: action.data.toWellFormed() };
}

/** An action that HTTP can carry out. */
type Request = Exclude<Action, { kind: "enter" }>;

/** Returns the address that carries out an action. */
function addressOf(action: Request, base: string): string {
  const channel = encodeURIComponent(action.channel);
  if (action.kind === "members") return `${base}/presence/${channel}?members`;
  return action.kind === "subscribe" ? `${base}/${channel}?last=${action.last}` : `${base}/${channel}`;
}

function curl(action: Request, { base, needsToken }: Target): string {
  const address = shellQuoted(addressOf(action, base));
  const token = needsToken ? ' -H "Authorization: Bearer $FANOUT_TOKEN"' : "";
  if (action.kind === "subscribe") return `curl -N${token} ${address}`;
  if (action.kind === "members") return `curl${token} ${address}`;
  const { text } = action;
  if (isVisible(text)) return `curl${token} --data-raw ${shellQuoted(text)} ${address}`;
  return `printf ${printfQuoted(text)} | curl${token} --data-binary @- ${address}`;
}

function javaScript(action: Action, { base, needsToken }: Target): string {
  const address = literal(base);
  const token = needsToken ? ', { token: "paste the token here" }' : "";
  return `// In a page: <script type="module">. In Node, the module is "fanout-edge/client".
import { Fanout } from ${literal(`${base}/-/client.js`)};

const fanout = new Fanout(${address}${token});
${statement(action)}`;
}

/** Returns the statement that carries out an action in JavaScript. */
function statement(action: Action): string {
  const channel = literal(action.channel);
  switch (action.kind) {
    case "announce":
      return `console.log(await fanout.announce(${channel}, ${literal(action.text)})); // the message's position`;
    case "subscribe":
      return `for await (const { text } of fanout.subscribe(${channel}, { last: ${action.last} })) console.log(text);`;
    case "enter": {
      const data = action.data === "" ? "" : `, ${literal(action.data)}`;
      return `await fanout.enter(${channel}, ${literal(action.member)}${data}); // present while this program runs`;
    }
    case "members":
      return `for await (const { kind, member, data } of fanout.members(${channel})) console.log(kind, member, data);`;
  }
}

function python(action: Request, { base, needsToken }: Target): string {
  const address = literal(addressOf(action, base));
  const body = action.kind === "announce" ? `, ${literal(action.text)}.encode()` : "";
  return [
    ...(needsToken ? ["import os"] : []),
    "from urllib.request import Request, urlopen",
    "",
    `request = Request(${address}${body})`,
    ...(needsToken ? ['request.add_header("Authorization", "Bearer " + os.environ["FANOUT_TOKEN"])'] : []),
    "for line in urlopen(request):",
    '    print(line.decode(), end="", flush=True)',
  ].join("\n");
}
