/**
 * The Worker, with commits that take as long as on Cloudflare's network: 10 ms instead of what this machine's disk takes.
 * Answers to calls wait for the commit of what the object has written, and writes during a commit share the next one, as
 * the platform does it. WebSockets don't wait: this is for measuring requests.
 */
import worker, { Channel as Fanout } from "./worker.js";

export default worker;

const MILLISECONDS = 10;

class Commits {
  /** The commit under way, and the one after it, if something was written since. */
  #current;
  #next;

  wrote() {
    this.#next ??= this.#commit(this.#current);
  }

  /** Resolves when all that was written is stored. */
  async stored() {
    await (this.#next ?? this.#current);
  }

  async #commit(before) {
    await before;
    this.#current = this.#next;
    this.#next = undefined;
    await scheduler.wait(MILLISECONDS);
  }
}

export class Channel extends Fanout {
  #commits;

  constructor(context, env) {
    const commits = new Commits();
    const { storage } = context;
    const { kv } = storage;
    for (const name of ["put", "delete"]) {
      const write = kv[name].bind(kv);
      kv[name] = (...words) => {
        commits.wrote();
        return write(...words);
      };
    }
    const sync = storage.sync.bind(storage);
    storage.sync = async () => {
      await commits.stored();
      await sync();
    };
    super(context, env);
    this.#commits = commits;
    // The runtime would make new ones, without the changes.
    this.changed = [storage, kv];
  }

  async call(...words) {
    const answer = await super.call(...words);
    await this.#commits.stored();
    return answer;
  }
}
