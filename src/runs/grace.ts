/**
 * A signal for work that must come to a known end although the user wants out: it aborts `ms` milliseconds after `stop` does.
 */
export function graceAfter(stop: AbortSignal, ms: number): AbortSignal {
  const grace = new AbortController();
  const arm = () => setTimeout(() => grace.abort(stop.reason), ms).unref();
  if (stop.aborted) arm();
  else stop.addEventListener("abort", arm, { once: true });
  return grace.signal;
}
