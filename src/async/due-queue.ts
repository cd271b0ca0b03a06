/** What waits for its time, the one whose time comes first in front (a binary heap: adding and taking cost log n). */
export class DueQueue<T extends { readonly dueAt: number }> {
  readonly #heap: T[] = [];

  /** Whose time comes first; it stays. */
  get first(): T | undefined {
    return this.#heap[0];
  }

  /** Its time must not change as long as it is here. */
  add(item: T): void {
    const heap = this.#heap;
    let at = heap.length;
    for (let parent = (at - 1) >> 1; at > 0 && this.#dueAt(parent) > item.dueAt; parent = (at - 1) >> 1) {
      heap[at] = heap[parent] as T;
      at = parent;
    }
    heap[at] = item;
  }

  /** Takes out whose time comes first. */
  take(): T | undefined {
    const heap = this.#heap;
    const [first] = heap;
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child + 1 < heap.length && this.#dueAt(child + 1) < this.#dueAt(child)) child += 1;
      if (child >= heap.length || this.#dueAt(child) >= last.dueAt) break;
      heap[at] = heap[child] as T;
      at = child;
    }
    heap[at] = last;
    return first;
  }

  /** Takes out all, in no order. */
  takeAll(): T[] {
    return this.#heap.splice(0);
  }

  #dueAt(index: number): number {
    return this.#heap[index]?.dueAt ?? Infinity;
  }
}
