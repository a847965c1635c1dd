/** The React hooks. */
export * from "./use-channel.ts";
export * from "./use-members.ts";
