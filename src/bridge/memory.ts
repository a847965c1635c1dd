/** Characters that the bridge buffers for all clients: incomplete lines, announcements in flight and pending output. */
export interface Memory {
  used: number;
  /** Beyond this, each client may use only one write and one short line. */
  readonly most: number;
}

export function isFull({ used, most }: Memory): boolean {
  return used > most;
}
