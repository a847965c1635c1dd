/** Maximum characters of a property's value: some are long names of objects. */
const LONGEST = 12;

/** Formats everything an error shows except its stack, in one line. */
export function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const names = Object.getOwnPropertyNames(error).filter((name) => name !== "stack" && name !== "message");
  const properties = names.map((name) => `${name}: ${shortened(String(Reflect.get(error, name)))}`);
  const more = properties.length > 0 ? ` (${properties.join(", ")})` : "";
  return `${error.name}: ${error.message}${more}`;
}

function shortened(text: string): string {
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}
