/** Work in progress, limited in number and bytes: more may begin as soon as some is done. */
export class Window {
  /** The number of pending pieces of work. */
  count = 0;
  readonly #maxCount: number;
  readonly #maxBytes: number;
  #bytes = 0;
  #failed: { error: unknown } | undefined;
  readonly #onDone: () => void;
  /** Called when a piece of work is settled. */
  #onSettled = () => {};

  /** @param onDone called for each piece of work that succeeds */
  constructor(maxCount: number, maxBytes: number, onDone: () => void) {
    this.#maxCount = maxCount;
    this.#maxBytes = maxBytes;
    this.#onDone = onDone;
  }

  get isFull(): boolean {
    return this.count >= this.#maxCount || this.#bytes >= this.#maxBytes;
  }

  add(bytes: number, work: Promise<unknown>): void {
    this.count += 1;
    this.#bytes += bytes;
    const settle = () => {
      this.count -= 1;
      this.#bytes -= bytes;
      this.#onSettled();
    };
    work.then(
      () => {
        this.#onDone();
        settle();
      },
      (error: unknown) => {
        this.#failed ??= { error };
        settle();
      },
    );
  }

  /** @throws the first failure */
  check(): void {
    if (this.#failed) throw this.#failed.error;
  }

  /** Resolves when there is room for more. @throws the first failure */
  async room(): Promise<void> {
    await this.#until(() => !this.isFull);
  }

  /** Waits for all work. @throws the first failure */
  async empty(): Promise<void> {
    await this.#until(() => this.count === 0);
  }

  /** Resolves when the condition holds. @throws the first failure */
  async #until(holds: () => boolean): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#onSettled = () => {
        if (holds() || this.#failed) resolve();
      };
      this.#onSettled();
    });
    this.check();
  }
}
