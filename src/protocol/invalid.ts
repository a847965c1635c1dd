/** The result of parsing text that doesn't follow the grammar; `why` is for the client that sent it. */
export interface Invalid {
  kind: "invalid";
  why: string;
}

export function invalid(why: string): Invalid {
  return { kind: "invalid", why };
}
