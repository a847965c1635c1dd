/** The id of the last event that a client of an event stream received. */

/**
 * Returns the id; undefined if the request has none. Polyfills that can't set headers send it in the query, as
 * `lastEventId`, `Last-Event-ID` or `lastEventID`.
 */
export function lastEventId({ headers, url }: Request): string | undefined {
  const header = headers.get("Last-Event-ID");
  if (header) return header;
  for (const [name, value] of new URL(url).searchParams) {
    if (name.replaceAll("-", "").toLowerCase() === "lasteventid" && value !== "") return value;
  }
  return undefined;
}
