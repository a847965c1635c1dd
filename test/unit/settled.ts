/** Resolves when all promises that depend on nothing else have settled. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 2_000; turn++) await undefined;
}
