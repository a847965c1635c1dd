/** The probe, deployed or in a local runtime, as the questions use it. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { TestClient } from "../../test/e2e/support/test-client.ts";
import { type Facts, readFacts } from "./facts.ts";

export interface Access {
  /** `http://…` or `https://…` */
  readonly url: string;
  /** The key that requests must carry. */
  readonly key: string;
  /** Deploys the same code as another version; undefined if the probe wasn't deployed from here. */
  deploy?(version: string): Promise<void>;
}

/** Timeout for every question, in milliseconds; none should take as long. */
const PATIENCE = 120_000;

export class Platform {
  readonly deploy: Access["deploy"];
  /** Whether questions may crash the runtime, or use all memory. */
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

  /** Returns the name of a new object. */
  newObject(): string {
    this.#objects += 1;
    return `${this.#run}-${this.#objects}`;
  }

  /**
   * Runs an experiment in an object, and returns its observations.
   * @throws Error with the Worker's message if the object fails, or if there is no response
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

  /** Opens a WebSocket to an object. */
  async connect(object: string): Promise<TestClient> {
    const options = { headers: this.#headers };
    const client = TestClient.open(this.#urlOf(object).replace(/^http/, "ws"), options);
    await once(client.socket, "open");
    return client;
  }

  /**
   * Opens a stream that the Worker feeds from a WebSocket to an object. Returns the first message on it, and a function
   * that ends it.
   */
  async stream(object: string): Promise<{ news: Promise<Facts>; end: () => void }> {
    const headers = { ...this.#headers, Accept: "text/event-stream" };
    const leaving = new AbortController();
    const response = await fetch(this.#urlOf(object), { headers, signal: leaving.signal });
    if (!response.ok || response.body === null) throw new Error(`no stream: ${response.status}`);
    // Reads immediately: garbage collection cancels a body that isn't being read.
    return { news: firstEvent(response.body), end: () => leaving.abort() };
  }

  #urlOf(object: string): string {
    return `${this.#access.url}/${object}`;
  }
}

/** Runs an experiment in an object by a message on its socket. */
export async function askBy(client: TestClient, experiment: string, ask: Facts = {}): Promise<Facts> {
  client.send(JSON.stringify({ ...ask, experiment }));
  return readFacts(await client.line());
}

async function firstEvent(body: AsyncIterable<Uint8Array>): Promise<Facts> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of body) {
    text += decoder.decode(bytes, { stream: true });
    const [, data] = /^data: (.+)\n/m.exec(text) ?? [];
    if (data) return readFacts(data);
  }
  throw new Error("the stream ended");
}
