/** Questions and their answers. */
import type { Platform } from "./platform.ts";

/** One line of the table. */
export interface Row {
  readonly question: string;
  readonly assumed: string;
  readonly seen: string;
}

export interface Options {
  /** Maximum calls in one event. */
  readonly calls: number;
  /** Called before steps that take long. */
  readonly onStep: (step: string) => void;
}

export interface Question {
  readonly title: string;
  /**
   * When it may be asked: in parallel with all others, because it mostly waits; one after another; or after all others,
   * because it may disturb them.
   */
  readonly when: "beside" | "in turn" | "last";
  ask(platform: Platform, options: Options): Promise<Row[]>;
}

/** Shown for questions that are not asked. */
export const NOT_ASKED = "not asked";

/** Shown for questions that fail. */
export function failed(error: unknown): string {
  return `failed: ${String(error)}`;
}

/**
 * Waits for a promise that may never settle.
 * @param seconds the timeout
 */
export async function within<T>(seconds: number, promise: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`nothing for ${seconds} s`)), seconds * 1_000);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
