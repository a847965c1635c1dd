/** Characters that the bridge holds for all its guests together: lines without an end, announcements in flight, pending output. */
export interface Memory {
  used: number;
  /** Beyond, each guest gets only what one write and one short line take. */
  readonly most: number;
}

export function isFull({ used, most }: Memory): boolean {
  return used > most;
}
