/** The RPC interface for other Workers of the same account, which bind it with `entrypoint = "Fanout"`. */
import { WorkerEntrypoint } from "cloudflare:workers";
import { SettingError } from "../runtime/limits.ts";
import { info } from "./admin/operations.ts";
import { checkAnnounce } from "./admission.ts";
import { Denial } from "./denial.ts";
import { type Env, readBindings } from "./env.ts";
import { logWrongSettings, noteDenial } from "./failures.ts";
import { type MemberList, membersOf } from "./http/members.ts";
import { announce } from "./http/post.ts";
import { readSettings } from "./settings.ts";

export class Fanout extends WorkerEntrypoint<Env> {
  /**
   * Announces one or several messages at consecutive positions, or none of them. No token is needed, because the
   * binding grants access.
   * @param options `key`: an idempotency key, under which the channel announces once within its retention
   * @returns the position of the last message, once it is stored; null on channels without history
   * @throws Error whose `code` is one of the protocol's error codes; "uncertain" means that the messages may have been
   * announced
   */
  async announce(
    channel: string,
    messages: string | string[],
    options: { key?: string | undefined } = {},
  ): Promise<number | null> {
    return explained(this.env, "announce", async () => {
      checkObject(options);
      const { key } = options;
      checkTypes(channel, [messages].flat(), key);
      checkAnnounce(undefined, channel);
      const { limits } = readSettings({ ...this.env });
      const env = readBindings(this.env);
      return (await announce(env, channel, [messages].flat(), { key }, limits)) ?? null;
    });
  }

  /**
   * Returns the members of a channel, sorted by name, and the position of `presence/<channel>` at which they are. Calls
   * can't enter a channel, because members need a connection.
   * @throws Error whose `code` is one of the protocol's error codes
   */
  async members(channel: string): Promise<MemberList> {
    return explained(this.env, "members", async () => {
      checkTypes(channel, [], undefined);
      readSettings({ ...this.env });
      return membersOf(readBindings(this.env), channel);
    });
  }

  /** Returns the statistics of the service, by their names in `info`; `uptime` is in seconds. */
  async info(): Promise<Record<string, number>> {
    return explained(this.env, "info", () =>
      info(readBindings(this.env), readSettings({ ...this.env }).limits.clientLimit),
    );
  }
}

/** @throws Denial if an argument isn't text, because callers may be plain JavaScript */
function checkTypes(channel: unknown, messages: unknown[], key: unknown): void {
  const isText = (value: unknown) => typeof value === "string";
  const fault =
    (!isText(channel) && "the channel isn't text; pass its name") ||
    (!messages.every(isText) && "a message isn't text; pass text, such as from JSON.stringify") ||
    (key !== undefined && !isText(key) && "the option 'key' isn't text; pass text");
  if (fault) throw new Denial(400, "invalid", fault);
}

/** @throws Denial if options aren't an object */
function checkObject(options: unknown): void {
  if (typeof options === "object" && options !== null && !Array.isArray(options)) return;
  throw new Denial(400, "invalid", "the options aren't an object; pass for example { key: 'order-17' }");
}

/** Counts and logs failures, and reports errors in the settings, like HTTP responses do. */
async function explained<T>(env: Env, command: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Denial) noteDenial(env, error, command);
    if (!(error instanceof SettingError)) throw error;
    logWrongSettings(error, command);
    throw new Denial(500, "unavailable", `this server's settings are wrong: ${error.message}`);
  }
}
