/** What a question is, and what becomes of it. */
import type { Platform } from "./platform.ts";

/** One line of the table. */
export interface Row {
  readonly question: string;
  readonly assumed: string;
  readonly seen: string;
}

export interface Options {
  /** Calls to make in one event, at most. */
  readonly calls: number;
  /** Told of what takes long. */
  readonly onStep: (step: string) => void;
}

export interface Question {
  readonly title: string;
  /**
   * When it may be asked: beside all others, as it is mostly silence; after one another; or when the others
   * are done, as it may hurt them.
   */
  readonly when: "beside" | "in turn" | "last";
  ask(platform: Platform, options: Options): Promise<Row[]>;
}

/** What is seen where a question is not asked. */
export const NOT_ASKED = "not asked";

/** What is seen where a question comes to nothing. */
export function failed(error: unknown): string {
  return `failed: ${String(error)}`;
}

/**
 * Waits for what may never come.
 * @param seconds the longest that it may take
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
