import { getEventListeners } from "node:events";

/** How much hangs on a signal: listeners, and the entries of signals that `AbortSignal.any` made of it, which Node keeps in a set of its own. */
export function leftOn(signal: AbortSignal): number {
  const entries = Object.getOwnPropertySymbols(signal).map((key) => {
    const value: unknown = Reflect.get(signal, key);
    const isSet = typeof value === "object" && value !== null && "add" in value && "size" in value;
    return isSet ? Number(value.size) : 0;
  });
  return entries.reduce((sum, size) => sum + size, getEventListeners(signal, "abort").length);
}
