/** How a list is looked at. */
export interface ListRules<Row> {
  /** Tells one row from all others, for as long as it is in the list. */
  readonly id: (row: Row) => string;
  /** What a filter looks into. */
  readonly text: (row: Row) => string;
  readonly isFailure: (row: Row) => boolean;
  /** The first is the one to begin with. */
  readonly orders: readonly Ordering<Row>[];
}

/** An order of rows, and what it is called. */
export interface Ordering<Row> {
  readonly name: string;
  readonly compare: (a: Row, b: Row) => number;
}

/**
 * Which rows of a list that changes all the time are shown, in which order, and which of them is selected. What is selected is a
 * row, wherever it goes: nothing is selected by itself, and one that has gone makes none of the others the selected one.
 */
export class SelectableList<Row> {
  readonly #rules: ListRules<Row>;
  #rows: readonly Row[] = [];
  #total = 0;
  #selected: string | undefined;
  /** Where the selected row is, or was. */
  #at = 0;
  #top = 0;
  #room = 1;
  #order = 0;
  #filter = "";
  #failuresOnly = false;

  constructor(rules: ListRules<Row>) {
    this.#rules = rules;
  }

  /** How many rows there are, shown or not. */
  get total(): number {
    return this.#total;
  }

  /** Those that are shown, in their order. */
  get rows(): readonly Row[] {
    return this.#rows;
  }

  /** Only rows with this in them, whatever the case, are shown. */
  get filter(): string {
    return this.#filter;
  }

  set filter(text: string) {
    this.#filter = text;
    this.#fromTop();
  }

  get failuresOnly(): boolean {
    return this.#failuresOnly;
  }

  set failuresOnly(only: boolean) {
    this.#failuresOnly = only;
    this.#fromTop();
  }

  get isNarrowed(): boolean {
    return this.failuresOnly || this.filter !== "";
  }

  /** The order's name, where it is not the one to begin with. */
  get order(): string | undefined {
    return this.#order === 0 ? undefined : this.#rules.orders[this.#order]?.name;
  }

  get selected(): Row | undefined {
    return this.#selected === undefined ? undefined : this.#rows[this.#at];
  }

  /** Takes in the rows as they are now. */
  see(all: readonly Row[]): void {
    const { id, text, isFailure, orders } = this.#rules;
    const wanted = this.filter.toLowerCase();
    const passing = all.filter(
      (row) => (!this.failuresOnly || isFailure(row)) && (wanted === "" || text(row).toLowerCase().includes(wanted)),
    );
    const order = orders[this.#order];
    this.#rows = order ? passing.toSorted(order.compare) : passing;
    this.#total = all.length;
    if (this.#selected === undefined) return;
    const at = this.#rows.findIndex((row) => id(row) === this.#selected);
    if (at < 0) this.#selected = undefined;
    else this.#at = at;
  }

  /** The rows that stand on a screen with so many lines for them, the selected one among them. */
  window(room: number): readonly Row[] {
    this.#room = room;
    const last = Math.max(0, this.#rows.length - room);
    if (this.#selected !== undefined) this.#top = Math.max(this.#at - room + 1, Math.min(this.#top, this.#at));
    this.#top = Math.min(this.#top, last);
    return this.#rows.slice(this.#top, this.#top + room);
  }

  /** Selects another row: so many further down, or up. Where none is selected, the one where the last was, or the first. */
  move(by: number): void {
    this.#select(this.#selected === undefined ? this.#at : this.#at + by);
  }

  movePage(direction: 1 | -1): void {
    this.move(direction * this.#room);
  }

  first(): void {
    this.#select(0);
  }

  last(): void {
    this.#select(Infinity);
  }

  nextOrder(): void {
    this.#order = (this.#order + 1) % this.#rules.orders.length;
  }

  /** Other rows are shown: unless the selected one is among them, it begins with the first. */
  #fromTop(): void {
    this.#at = 0;
    this.#top = 0;
  }

  #select(at: number): void {
    this.#at = Math.max(0, Math.min(at, this.#rows.length - 1));
    const row = this.#rows[this.#at];
    this.#selected = row && this.#rules.id(row);
  }
}
