const followers = new WeakMap<AbortSignal, Set<AbortController>>();

/**
 * A signal for one piece of work, which aborts when `of` does; `release` it when the work is over. However many there are, nothing
 * piles up on `of`: neither listeners, nor what `AbortSignal.any` leaves there in Node 20 for as long as `of` lives.
 */
export function ownSignal(of: AbortSignal): { readonly signal: AbortSignal; release(): void } {
  const own = new AbortController();
  if (of.aborted) own.abort(of.reason);
  const all = followers.get(of) ?? begin(of);
  all.add(own);
  return { signal: own.signal, release: () => void all.delete(own) };
}

function begin(of: AbortSignal): Set<AbortController> {
  const all = new Set<AbortController>();
  followers.set(of, all);
  of.addEventListener("abort", () => all.forEach((one) => one.abort(of.reason)), { once: true });
  return all;
}
