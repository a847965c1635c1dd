/**
 * The version before this one, as `keep.ts` has kept it. Today's types stand for its own: where they differ, what
 * makes its objects (`test/simulation/objects.ts`) has to give them what they were made for.
 */
export * from "./heart.ts";
