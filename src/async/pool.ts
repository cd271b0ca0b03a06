/** How many runs are asked about or acted on at a time, whatever their number: what a person may do to the platform unasked. */
export const CONCURRENCY = 8;

/**
 * Does `work` on every item, on at most `size` of them at a time, and yields each result as it is there. Items are taken only
 * when their turn comes: an iterable that ends early leaves the rest alone.
 *
 * @throws what `work` throws, once everything under way has ended.
 */
export async function* pooled<T, R>(
  items: Iterable<T>,
  size: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const underWay = new Map<number, Promise<readonly [number, R]>>();
  const first = async () => {
    const [key, result] = await Promise.race(underWay.values());
    underWay.delete(key);
    return result;
  };
  let key = 0;
  try {
    for (const item of items) {
      const mine = key++;
      underWay.set(
        mine,
        work(item).then((result) => [mine, result]),
      );
      if (underWay.size >= size) yield await first();
    }
    while (underWay.size > 0) yield await first();
  } finally {
    await Promise.allSettled(underWay.values());
  }
}

/** The items, as long as `going` holds. */
export function* whileGoing<T>(items: Iterable<T>, going: () => boolean): Generator<T> {
  for (const item of items) {
    if (!going()) return;
    yield item;
  }
}
