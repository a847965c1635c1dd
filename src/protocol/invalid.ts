/** What cannot be read, and why, for its sender to read. */
export interface Invalid {
  kind: "invalid";
  why: string;
}

export function invalid(why: string): Invalid {
  return { kind: "invalid", why };
}
