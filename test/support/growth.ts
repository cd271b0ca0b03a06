/** How work grows with what is worked on: that can be asked for on any machine, a time cannot. */

/** What sixteen times as much takes at most, if it takes time that grows with it alone; by its square it would be 256 times. */
export const LINEAR = 64;
const TIMES = 16;

/**
 * How many times as much work the whole size is as its sixteenth, by the processor's time: what else runs in this process only
 * adds to it, so of two tries the lesser counts. `prepare` makes what is worked on, and hands back the work.
 */
export async function growth(size: number, prepare: (size: number) => () => unknown): Promise<number> {
  const [short, long] = [prepare(size / TIMES), prepare(size)];
  return (await leastWork(long)) / (await leastWork(short));
}

async function leastWork(work: () => unknown): Promise<number> {
  let least = Infinity;
  for (let tries = 0; tries < 2; tries += 1) {
    const before = process.cpuUsage();
    await work();
    const { user, system } = process.cpuUsage(before);
    least = Math.min(least, user + system);
  }
  return least;
}
