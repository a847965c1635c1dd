/** What alarms and their objects can observe. */
import { type Facts, numberIn } from "../facts.ts";
import { chain } from "./chain.ts";
import type { Host } from "./host.ts";

/** Key of the row with the time that the alarm was set for. */
const SET = "set";

export class Alarms {
  readonly #host: Host;
  /** Identifies this time of the object in memory. */
  readonly #incarnation: string;
  /** What `getAlarm` returned when the object was built. */
  readonly #atFirst: Promise<string>;
  #act: (() => Promise<Facts>) | undefined;
  #done = Promise.withResolvers<Facts>();

  constructor(host: Host, incarnation: string) {
    this.#host = host;
    this.#incarnation = incarnation;
    this.#atFirst = this.#alarm();
  }

  /** Sets the alarm to now; returns the outcome of a chain of calls made by the alarm. */
  async chainAtAlarm(ask: Facts): Promise<Facts> {
    this.#act = () => chain(this.#host, { hops: numberIn(ask, "hops") });
    await this.#host.context.storage.setAlarm(Date.now());
    return await this.#done.promise;
  }

  /** Sets the alarm to `milliseconds` from now; then it sends its observations to all connected clients. */
  async setAlarm(ask: Facts): Promise<Facts> {
    const { storage } = this.#host.context;
    const time = Date.now() + numberIn(ask, "milliseconds");
    storage.kv.put(SET, `${time} ${this.#incarnation}`);
    await storage.setAlarm(time);
    return {};
  }

  async ran(info: AlarmInvocationInfo | undefined): Promise<void> {
    if (this.#act !== undefined) return this.#done.resolve(await this.#act());
    const { context } = this.#host;
    const inHandler = await this.#alarm();
    const [time, incarnation] = String(context.storage.kv.get(SET)).split(" ");
    const facts: Facts = {
      info: JSON.stringify(info ?? null),
      isTime: info?.scheduledTime === Number(time),
      isRebuilt: incarnation !== this.#incarnation,
      atFirst: await this.#atFirst,
      inHandler,
    };
    for (const socket of context.getWebSockets()) socket.send(`${JSON.stringify(facts)}\n`);
  }

  /** Describes what `getAlarm` returns, without the time itself. */
  async #alarm(): Promise<string> {
    const time = await this.#host.context.storage.getAlarm();
    return time === null ? "null" : "a time";
  }
}
