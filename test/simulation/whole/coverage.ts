/** Rare events that the runs exist for. */

/** Those that runs without failures reach. */
export const CALM_GOALS = [
  "a message over a WebSocket",
  "a message over a stream",
  "an entry",
  "a tree",
  "a token renewed",
  "a request to wait",
] as const;

export const GOALS = [...CALM_GOALS, "a gap", "an expired token", "an isolate ended under a stream"] as const;

export type Goal = (typeof GOALS)[number];
