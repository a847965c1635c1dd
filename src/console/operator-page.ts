/** Requests to the operators' pages. */

/** The server, and the page's token. */
export interface Access {
  base: string;
  token(): string | undefined;
}

/** A page's JSON, or a sentence that says why there is none. */
export type Answer = { value: unknown } | { why: string };

const UNAVAILABLE = "The server can't provide it now.";

/**
 * Fetches an operators' page.
 * @param path after `/-/`
 * @param body if given, it is posted
 */
export async function fetchPage({ base, token }: Access, path: string, body?: string): Promise<Answer> {
  const given = token();
  const headers: Record<string, string> = given === undefined ? {} : { Authorization: `Bearer ${given}` };
  const init = body === undefined ? { headers } : { method: "POST", headers, body };
  try {
    const response = await fetch(`${base}/-/${path}`, init);
    if (response.ok) return { value: await response.json() };
    // Proxies respond with pages of their own.
    return { why: response.headers.has("Fanout-Error") ? (await response.text()).trim() : UNAVAILABLE };
  } catch {
    return { why: UNAVAILABLE };
  }
}
