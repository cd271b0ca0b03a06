/**
 * A signal for work that must come to a known end although the user wants out: it aborts `ms` milliseconds after `stop` does.
 * `release` when the work is over: `stop` outlives it.
 */
export function graceAfter(stop: AbortSignal, ms: number): { readonly signal: AbortSignal; release(): void } {
  const grace = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const arm = () => {
    timer = setTimeout(() => grace.abort(stop.reason), ms).unref();
  };
  if (stop.aborted) arm();
  else stop.addEventListener("abort", arm, { once: true });
  return {
    signal: grace.signal,
    release: () => {
      stop.removeEventListener("abort", arm);
      clearTimeout(timer);
    },
  };
}
