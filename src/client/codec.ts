/** The codec for messages other than one line of text. */
import { checkFunction } from "./inputs.ts";
import type { Codec, StandardSchema } from "./types.ts";

/**
 * Returns a codec that sends data as JSON: objects, and text of several lines.
 * @param schema any Standard Schema (https://standardschema.dev), as of zod, valibot or arktype; it checks both the data
 *   that you announce and the data that you receive
 * @throws TypeError if the schema isn't one
 */
export function json<T = unknown>(schema?: StandardSchema<T>): Codec<T> {
  if (schema !== undefined) checkFunction(schema?.["~standard"]?.validate, "the schema's `~standard`.validate");
  const parse = (text: string): T => {
    const value: T = JSON.parse(text);
    return schema ? validated(schema, value) : value;
  };
  return {
    encode: (data) => {
      const text = JSON.stringify(data);
      // Check what subscribers will parse, which may differ from `data`: dates become strings.
      if (schema) parse(text);
      return text;
    },
    decode: parse,
  };
}

function validated<T>(schema: StandardSchema<T>, value: unknown): T {
  const result = schema["~standard"].validate(value);
  if ("value" in result) return result.value;
  const issues = "issues" in result ? result.issues : [{ message: "the schema is asynchronous" }];
  const why = issues.map(({ message, path = [] }) => {
    const keys = path.map((part) => String(typeof part === "object" ? part.key : part));
    return [...keys, message].join(": ");
  });
  throw new TypeError(`the message doesn't match its schema: ${why.join("; ")}`);
}
