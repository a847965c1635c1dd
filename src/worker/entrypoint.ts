/** What other Workers of the same account may call, by a service binding with `entrypoint = "Fanout"`. */
import { WorkerEntrypoint } from "cloudflare:workers";
import { SettingError } from "../runtime/limits.ts";
import { info } from "./admin/operations.ts";
import { Denial } from "./denial.ts";
import { type Env, readBindings } from "./env.ts";
import { announce } from "./http/announce.ts";
import { readSettings } from "./settings.ts";

export class Fanout extends WorkerEntrypoint<Env> {
  /**
   * Announces a message, or several next to each other, all or none. No token is needed: who is bound to this may.
   * @param options `key`: announces only if nothing has been under this key on the channel while history lasts
   * @returns the position of the last one, when it has its place and is stored; null where no history is kept
   * @throws Error with a sentence, and with an error code as its property `code`, as for a command: "uncertain" means
   * that the messages may have been announced
   */
  async announce(
    channel: string,
    messages: string | string[],
    { key }: { key?: string | undefined } = {},
  ): Promise<number | null> {
    return explained(async () => {
      const { limits } = readSettings({ ...this.env });
      const env = readBindings(this.env);
      return (await announce(env, channel, [messages].flat(), { key }, limits)) ?? null;
    });
  }

  /** The figures of the service, by the names that `info` gives them; `uptime` in seconds. */
  async info(): Promise<Record<string, number>> {
    return explained(() => info(readBindings(this.env), readSettings({ ...this.env }).limits.clientLimit));
  }
}

/** Has an error in the settings read the same as by HTTP. */
async function explained<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof SettingError)) throw error;
    throw new Denial(500, "unavailable", `this server's settings are wrong: ${error.message}`);
  }
}
