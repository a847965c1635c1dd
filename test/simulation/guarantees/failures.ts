/**
 * Failures of the past, which every run replays first. A failing property prints the entry to add here; with its choices
 * and profile, it survives changes of how both are drawn. Settings that are left out are those of `CALM`.
 */
import type { Profile } from "../profile.ts";
import type { Failure } from "../runs.ts";

export const FAILURES: Failure<Partial<Profile>>[] = [];
