/** The deployed probe, or the one in a runtime of one's own, as questions see it. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { Listener } from "../../test/e2e/support/listener.ts";
import { type Facts, readFacts } from "./facts.ts";

export interface Access {
  /** `http://…` or `https://…` */
  readonly url: string;
  /** What requests have to bring. */
  readonly key: string;
  /** Deploys the same code as another version; undefined where nothing is deployed from here. */
  deploy?(version: string): Promise<void>;
}

/** What takes longer never ends, in milliseconds; nothing that is asked should take as long. */
const PATIENCE = 120_000;

export class Platform {
  readonly deploy: Access["deploy"];
  /** Whether what would end the process of a runtime, or take all of a machine, may be asked. */
  readonly isDeployed: boolean;
  readonly #access: Access;
  readonly #headers: Record<string, string>;
  readonly #run = randomBytes(4).toString("hex");
  #objects = 0;

  constructor(access: Access, isDeployed: boolean) {
    this.deploy = access.deploy;
    this.isDeployed = isDeployed;
    this.#access = access;
    this.#headers = { Authorization: `Bearer ${access.key}` };
  }

  /** The name of an object that nobody has used. */
  newObject(): string {
    this.#objects += 1;
    return `${this.#run}-${this.#objects}`;
  }

  /**
   * Has an object carry out an experiment; answers with what it has seen.
   * @throws Error with what the Worker says, if the object fails, or if there is no answer
   */
  async ask(object: string, experiment: string, ask: Facts = {}): Promise<Facts> {
    const body = JSON.stringify({ ...ask, experiment });
    const signal = AbortSignal.timeout(PATIENCE);
    const response = await fetch(this.#urlOf(object), {
      method: "POST",
      headers: this.#headers,
      body,
      signal,
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${response.status}: ${text}`);
    return readFacts(text);
  }

  /** Opens a WebSocket into an object. */
  async connect(object: string): Promise<Listener> {
    const options = { headers: this.#headers };
    const listener = Listener.open(this.#urlOf(object).replace(/^http/, "ws"), options);
    await once(listener.socket, "open");
    return listener;
  }

  /**
   * Opens a stream that the Worker feeds from a WebSocket into an object: the first that is said on it, and
   * how to end it.
   */
  async stream(object: string): Promise<{ news: Promise<Facts>; end: () => void }> {
    const headers = { ...this.#headers, Accept: "text/event-stream" };
    const leaving = new AbortController();
    const response = await fetch(this.#urlOf(object), { headers, signal: leaving.signal });
    if (!response.ok || response.body === null) throw new Error(`no stream: ${response.status}`);
    // Read at once: a body that nobody reads is given up when memory is tidied.
    return { news: firstEvent(response.body), end: () => leaving.abort() };
  }

  #urlOf(object: string): string {
    return `${this.#access.url}/${object}`;
  }
}

/** Has an object carry out an experiment that a message on its socket asks for. */
export async function askBy(listener: Listener, experiment: string, ask: Facts = {}): Promise<Facts> {
  listener.say(JSON.stringify({ ...ask, experiment }));
  return readFacts(await listener.line());
}

async function firstEvent(body: AsyncIterable<Uint8Array>): Promise<Facts> {
  const decoder = new TextDecoder();
  let said = "";
  for await (const bytes of body) {
    said += decoder.decode(bytes, { stream: true });
    const [, data] = /^data: (.+)\n/m.exec(said) ?? [];
    if (data) return readFacts(data);
  }
  throw new Error("the stream has ended");
}
