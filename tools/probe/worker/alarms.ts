/** What an alarm is told, and what an object can know of its own. */
import { type Facts, numberIn } from "../facts.ts";
import { line } from "./line.ts";
import type { Self } from "./self.ts";

/** Where the object keeps for when its alarm was set. */
const SET = "set";

export class Alarms {
  readonly #self: Self;
  /** What this life of the object is called. */
  readonly #life: string;
  /** What `getAlarm` answered when the object was built. */
  readonly #atFirst: Promise<string>;
  #act: (() => Promise<Facts>) | undefined;
  #done = Promise.withResolvers<Facts>();

  constructor(self: Self, life: string) {
    this.#self = self;
    this.#life = life;
    this.#atFirst = this.#alarm();
  }

  /** Sets the alarm to now; answers with a line of nested calls that the alarm has made. */
  async lineAtAlarm(ask: Facts): Promise<Facts> {
    this.#act = () => line(this.#self, { hops: numberIn(ask, "hops") });
    await this.#self.context.storage.setAlarm(Date.now());
    return await this.#done.promise;
  }

  /** Sets the alarm to `milliseconds` from now; then all who are connected hear what came of it. */
  async setAlarm(ask: Facts): Promise<Facts> {
    const { storage } = this.#self.context;
    const time = Date.now() + numberIn(ask, "milliseconds");
    storage.kv.put(SET, `${time} ${this.#life}`);
    await storage.setAlarm(time);
    return {};
  }

  async ran(info: AlarmInvocationInfo | undefined): Promise<void> {
    if (this.#act !== undefined) return this.#done.resolve(await this.#act());
    const { context } = this.#self;
    const inHandler = await this.#alarm();
    const [time, life] = String(context.storage.kv.get(SET)).split(" ");
    const facts: Facts = {
      info: JSON.stringify(info ?? null),
      isTime: info?.scheduledTime === Number(time),
      isAnew: life !== this.#life,
      atFirst: await this.#atFirst,
      inHandler,
    };
    for (const socket of context.getWebSockets()) socket.send(`${JSON.stringify(facts)}\n`);
  }

  /** What `getAlarm` answers, without the time itself. */
  async #alarm(): Promise<string> {
    const time = await this.#self.context.storage.getAlarm();
    return time === null ? "null" : "a time";
  }
}
