const LOOK_EVERY_MS = 1_000;
/** So much more on the wall clock than on the one that stands still during a sleep. A clock that is set forward looks alike. */
const ASLEEP_MS = 10_000;

/**
 * A signal that aborts when the machine has slept, such as a laptop whose lid was closed: connections from before are dead then,
 * and nobody says so. `release` it when there is no connection to lose any more.
 */
export function suspendSignal(): { readonly signal: AbortSignal; release(): void } {
  const slept = new AbortController();
  let lead = wallLead();
  const looking = setInterval(() => {
    const now = wallLead();
    if (now - lead > ASLEEP_MS) slept.abort();
    lead = now;
  }, LOOK_EVERY_MS).unref();
  return { signal: slept.signal, release: () => clearInterval(looking) };
}

function wallLead(): number {
  return Date.now() - performance.now();
}
