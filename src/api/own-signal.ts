interface Followers {
  readonly all: Set<AbortController>;
  readonly abort: () => void;
}

const followersOf = new WeakMap<AbortSignal, Followers>();

/**
 * A signal for one piece of work, which aborts when `of` does; `release` it when the work is over. However many there are, nothing
 * piles up on `of`: neither listeners, nor what `AbortSignal.any` leaves there in Node 20 for as long as `of` lives.
 */
export function ownSignal(of: AbortSignal): { readonly signal: AbortSignal; release(): void } {
  const own = new AbortController();
  if (of.aborted) {
    own.abort(of.reason);
    return { signal: own.signal, release: () => undefined };
  }
  const { all, abort } = followersOf.get(of) ?? begin(of);
  all.add(own);
  return {
    signal: own.signal,
    release: () => {
      if (!all.delete(own) || all.size > 0) return;
      // A signal made of others lives for as long as somebody listens to it.
      of.removeEventListener("abort", abort);
      followersOf.delete(of);
    },
  };
}

function begin(of: AbortSignal): Followers {
  const all = new Set<AbortController>();
  const abort = () => all.forEach((one) => one.abort(of.reason));
  const followers = { all, abort };
  followersOf.set(of, followers);
  of.addEventListener("abort", abort, { once: true });
  return followers;
}
