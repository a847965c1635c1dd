/** The types of `before.js`, which are those that today's code has to be compatible with. */
export * from "./release.ts";
