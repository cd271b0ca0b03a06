/**
 * Does `work` with each of the items, so many at a time, and begins none after one has failed.
 *
 * @throws what the first that failed has thrown, once all that had begun have ended.
 */
export async function eachOf<T>(items: Iterable<T>, atOnce: number, work: (item: T) => Promise<void>): Promise<void> {
  const failures: unknown[] = [];
  const left = items[Symbol.iterator]();
  const worker = async () => {
    while (failures.length === 0) {
      const { done, value } = left.next();
      if (done) return;
      await work(value).catch((error: unknown) => failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  if (failures.length > 0) throw failures[0];
}
