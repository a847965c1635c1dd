/** Whether a client receives something or sends it. */
export type Direction = "in" | "out";
