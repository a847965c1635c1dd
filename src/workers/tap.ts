/**
 * What an object says to one connection, for an answer that a Worker holds: the Worker has the client's end of the
 * socket, so that the object may sleep. What the reader of the answer does not take waits here.
 */

/**
 * Characters that may wait for one reader: what an object sends at once of what was missed, and a little. And for all of
 * this Worker together: a quarter of its 128 MB.
 */
const MOST_FOR_ONE = 5_000_000;
const MOST_WAITING = 32_000_000;

const taps = { open: 0, waiting: 0 };

/** How a connection ended. */
export interface Ending {
  code: number;
  reason: string;
}

export class Tap {
  readonly #socket: WebSocket;
  /** Called when the connection is ended as too much waits. */
  onSlow = () => {};
  #waiting = "";
  #ending: Ending | undefined;
  #noticed = () => {};
  #hasTimer = false;
  #wakeAt = 0;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    taps.open += 1;
    socket.addEventListener("message", ({ data }) => this.#arrived(String(data)));
    socket.addEventListener("close", ({ code, reason }) => this.end({ code, reason }));
    socket.addEventListener("error", () => this.end({ code: 1006, reason: "" }));
    socket.accept();
  }

  /** How the connection has ended; undefined while it has not. */
  get ending(): Ending | undefined {
    return this.#ending;
  }

  say(commands: string): void {
    if (commands !== "" && !this.#ending) this.#socket.send(commands);
  }

  /** Takes all that waits; where nothing does, waits for it, or for so many milliseconds, or for the end. */
  async take(milliseconds?: number): Promise<string> {
    if (this.#waiting === "" && !this.#ending) {
      if (milliseconds !== undefined) this.#setTimer(milliseconds);
      await new Promise<void>((resolve) => {
        this.#noticed = resolve;
      });
    }
    const taken = this.#waiting;
    taps.waiting -= taken.length;
    this.#waiting = "";
    return taken;
  }

  /** One timer goes on through many waits, as to set one costs more than a message does. */
  #setTimer(milliseconds: number): void {
    this.#wakeAt = Date.now() + milliseconds;
    if (this.#hasTimer) return;
    this.#hasTimer = true;
    setTimeout(() => {
      this.#hasTimer = false;
      const left = this.#wakeAt - Date.now();
      if (left <= 0) this.#noticed();
      else this.#setTimer(left);
    }, milliseconds);
  }

  end(ending: Ending = { code: 1000, reason: "" }): void {
    if (this.#ending) return;
    this.#ending = ending;
    taps.open -= 1;
    try {
      this.#socket.close(1000);
    } catch {
      // It is closed at the other end too.
    }
    this.#noticed();
  }

  /** Nobody will take what waits. */
  drop(): void {
    taps.waiting -= this.#waiting.length;
    this.#waiting = "";
    this.end();
  }

  #arrived(lines: string): void {
    if (this.#ending) return;
    this.#waiting += lines;
    taps.waiting += lines.length;
    if (this.#isTooMuch) {
      this.drop();
      this.onSlow();
    } else this.#noticed();
  }

  /** Where all together are too much, each may have its part: one can only end itself, as the runtime has it. */
  get #isTooMuch(): boolean {
    const most = taps.waiting > MOST_WAITING ? MOST_WAITING / taps.open : MOST_FOR_ONE;
    return this.#waiting.length > most;
  }
}
