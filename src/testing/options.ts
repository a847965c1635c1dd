/** Validation of options. */
import { SECRETS, SETTINGS } from "../serve/settings.ts";

/** @returns the settings as text. @throws TypeError that names the first invalid option */
export function checkServe(options: unknown): Record<string, string> {
  const { settings = {} } = propertiesOf(options, "the options", ["settings"]);
  const names = [...SETTINGS, ...SECRETS];
  const entries = Object.entries(propertiesOf(settings, "the option `settings`", names));
  return Object.fromEntries(entries.map(([name, value]) => [name, textOf(name, value)]));
}

/** @returns whether to cut silently. @throws TypeError */
export function checkCut(options: unknown): boolean {
  const { silently = false } = propertiesOf(options, "the options", ["silently"]);
  if (typeof silently === "boolean") return silently;
  throw new TypeError("the option `silently` takes true or false");
}

function propertiesOf(value: unknown, what: string, known: readonly string[]): Record<string, unknown> {
  const refuse = (why: string): never => {
    throw new TypeError(`${what} must be an object with any of ${known.join(", ")}, ${why}`);
  };
  if (typeof value !== "object" || value === null || Array.isArray(value)) return refuse("and nothing else");
  for (const name of Object.keys(value)) {
    if (!known.includes(name)) refuse(`not ${JSON.stringify(name.slice(0, 40))}`);
  }
  return { ...value };
}

function textOf(name: string, value: unknown): string {
  const text = typeof value === "number" ? String(value) : value;
  if (typeof text === "string" && text !== "" && !text.includes("\0")) return text;
  throw new TypeError(`the setting ${name} takes text or a number; leave it out for its default`);
}
