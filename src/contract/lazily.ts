/**
 * A value that is made when it is first asked for, and once. Schemas are: to build all of them takes longer than a short command
 * takes for everything else.
 */
export function lazily<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
