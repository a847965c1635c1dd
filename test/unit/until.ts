/**
 * Acts until a condition holds. A loop without a bound could hang all tests, as their time limits need the event loop.
 * @throws Error after 10,000 turns
 */
export async function until(isDone: () => boolean, act: () => unknown = () => undefined): Promise<void> {
  for (let turn = 0; !isDone(); turn++) {
    if (turn === 10_000) throw new Error(`after ${turn} turns, this still doesn't hold: ${isDone}`);
    await act();
  }
}

/**
 * Acts for as long as that returns true.
 * @throws Error after 10,000 turns
 */
export async function whileTrue(act: () => Promise<boolean>): Promise<void> {
  let isOver = false;
  await until(
    () => isOver,
    async () => {
      isOver = !(await act());
    },
  );
}
