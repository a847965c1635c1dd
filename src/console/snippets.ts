/** Code that repeats an action of a client. */
import { isVisible, literal, printfQuoted, shellQuoted } from "./quoting.ts";

export type Language = "curl" | "JavaScript" | "Python";

/** An action of a client; `last` is the number of newest messages with which the subscription begins. */
export type Action =
  | { kind: "announce"; channel: string; text: string }
  | { kind: "subscribe"; channel: string; last: number };

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
  // Clients resolve these names in a path.
  if (/^\.{1,2}$/.test(action.channel)) return `# HTTP can't name the channel '${action.channel}'; use JavaScript.`;
  return language === "curl" ? curl(action, target) : python(action, target);
}

/** Returns an action as it is sent: in UTF-8, which has no lone surrogates. */
function sent(action: Action): Action {
  const channel = action.channel.toWellFormed();
  return action.kind === "announce" ? { ...action, channel, text: action.text.toWellFormed() } : { ...action, channel };
}

/** Returns the address of a channel, with a query if the action is a subscription. */
function addressOf(action: Action, base: string): string {
  const address = `${base}/${encodeURIComponent(action.channel)}`;
  return action.kind === "subscribe" ? `${address}?last=${action.last}` : address;
}

function curl(action: Action, { base, needsToken }: Target): string {
  const address = shellQuoted(addressOf(action, base));
  const token = needsToken ? ' -H "Authorization: Bearer $FANOUT_TOKEN"' : "";
  if (action.kind === "subscribe") return `curl -N${token} ${address}`;
  const { text } = action;
  if (isVisible(text)) return `curl${token} --data-raw ${shellQuoted(text)} ${address}`;
  return `printf ${printfQuoted(text)} | curl${token} --data-binary @- ${address}`;
}

function javaScript(action: Action, { base, needsToken }: Target): string {
  const address = literal(base);
  const channel = literal(action.channel);
  const token = needsToken ? ', { token: "paste the token here" }' : "";
  const act =
    action.kind === "announce"
      ? `console.log(await fanout.announce(${channel}, ${literal(action.text)})); // the message's position`
      : `for await (const { text } of fanout.subscribe(${channel}, { last: ${action.last} })) console.log(text);`;
  return `// In a page: <script type="module">. In Node, the module is "fanout-edge/client".
import { Fanout } from ${literal(`${base}/-/client.js`)};

const fanout = new Fanout(${address}${token});
${act}`;
}

function python(action: Action, { base, needsToken }: Target): string {
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
