interface Listening {
  readonly callbacks: Set<() => void>;
  readonly abort: () => void;
}

const listeningTo = new WeakMap<AbortSignal, Listening>();

/**
 * Calls `callback` once when `signal` aborts; at once, when it has. `release` it when nobody waits any more. However many
 * callbacks there are, the signal has one listener: Node warns of more than ten, and the signal that ends the whole program
 * outlives everything that waits for it.
 */
export function onAbort(signal: AbortSignal, callback: () => void): { release(): void } {
  if (signal.aborted) {
    callback();
    return { release: () => undefined };
  }
  const { callbacks, abort } = listeningTo.get(signal) ?? listen(signal);
  // Of its own, so that the same function can be given twice.
  const own = () => callback();
  callbacks.add(own);
  return {
    release: () => {
      // A signal made of others lives for as long as somebody listens to it.
      if (!callbacks.delete(own) || callbacks.size > 0) return;
      signal.removeEventListener("abort", abort);
      listeningTo.delete(signal);
    },
  };
}

function listen(signal: AbortSignal): Listening {
  const callbacks = new Set<() => void>();
  const abort = () => {
    listeningTo.delete(signal);
    const all = [...callbacks];
    callbacks.clear();
    for (const callback of all) callback();
  };
  const listening = { callbacks, abort };
  listeningTo.set(signal, listening);
  signal.addEventListener("abort", abort, { once: true });
  return listening;
}

/**
 * What `work` comes to, unless `signal` aborts before that: whatever becomes of the work, this ends.
 *
 * @throws the signal's reason; what the work throws.
 */
export function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborting = onAbort(signal, () => reject(signal.reason));
    work.then(resolve, reject).finally(() => aborting.release());
  });
}
