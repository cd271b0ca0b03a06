import { messageOf } from "../../../errors.ts";
import type { Key } from "../../../terminal/keyboard.ts";
import type { Picture } from "../../../terminal/screen.ts";
import type { SelectableList } from "../../../terminal/selectable-list.ts";
import { RUN_ACTIONS, type ActionContext, type TableRun } from "./actions.ts";

export interface TableKeysOptions<Row> {
  /** The rows as they are now; `narrowed`: somebody looks for certain ones, so also those that are usually left out. */
  readonly rows: (narrowed: boolean) => readonly Row[];
  /** The row's run; `undefined` while there is none. */
  readonly run: (row: Row) => TableRun | undefined;
  /** What `q` does, in a few words. */
  readonly leaving: string;
  readonly leave: () => void;
  /** Throws where nothing can be done with the runs from here. */
  readonly check?: (() => Promise<void>) | undefined;
}

const KEYS: readonly (readonly [keys: string, what: string])[] = [
  ["↑ ↓  j k", "select a run"],
  ["PgUp PgDn", "a page up, a page down"],
  ["Home End", "the first, the last"],
  ["Enter", "show its output, live"],
  ["d", "diagnose it"],
  ["c", "cancel it, after a question"],
  ["r", "retry it if it failed, after a question"],
  ["o", "open its page in your browser"],
  ["y", "copy its ID"],
  ["/", "filter by customer, ID, instance or status"],
  ["f", "failures only, or all"],
  ["s", "change the order"],
  ["Esc", "all rows again"],
];

/** What the keys of a table do. */
export class TableKeys<Row> {
  readonly #context: ActionContext;
  readonly #list: SelectableList<Row>;
  readonly #options: TableKeysOptions<Row>;
  #picture: Picture | undefined;
  /** What the last key has to say. */
  #message = "";
  #showsKeys = false;
  #typesFilter = false;
  /** What a key began, and takes a while. */
  #work: Promise<void> | undefined;

  constructor(context: ActionContext, list: SelectableList<Row>, options: TableKeysOptions<Row>) {
    this.#context = context;
    this.#list = list;
    this.#options = options;
  }

  /** Where it is shown what they do. */
  showOn(picture: Picture): void {
    this.#picture = picture;
  }

  /** Waits until what a key began is over. */
  async idle(): Promise<void> {
    await this.#work;
  }

  /** What a frame has of them: their line, and the page that lists them. */
  frame(): { readonly keys: string; readonly page: readonly string[] | undefined } {
    const all = [...KEYS, ["q", this.#options.leaving], ["?", "these keys; any key returns"]] as const;
    const page = this.#showsKeys ? all.map(([keys, what]) => `${keys.padEnd(11)}${what}`) : undefined;
    return { keys: this.#line(), page };
  }

  #line(): string {
    const { filter, failuresOnly, isNarrowed, rows, total, order } = this.#list;
    if (this.#typesFilter) return `filter: ${filter}_   (Enter: keep it, Esc: all rows)`;
    return [
      ...(this.#message === "" ? [] : [this.#message]),
      ...(failuresOnly ? ["failures only"] : []),
      ...(filter === "" ? [] : [`filter "${filter}"`]),
      ...(isNarrowed ? [`${rows.length} of ${total}`] : []),
      ...(order === undefined ? [] : [order]),
      "? keys",
      "q leave",
    ].join(" · ");
  }

  press(key: Key): void {
    // What is pressed while a browser is opened has nothing to be about.
    if (this.#work) return;
    this.#message = "";
    if (this.#typesFilter) this.#typeFilter(key);
    else if (this.#showsKeys) this.#showsKeys = false;
    else this.#act(key.name);
    // The next key may come before the next frame, and is about what this one leads to.
    this.#list.see(this.#options.rows(this.#list.isNarrowed));
    this.#picture?.refresh({ answers: true });
  }

  #typeFilter({ name, text }: Key): void {
    const list = this.#list;
    if (name === "return" || name === "escape") this.#typesFilter = false;
    if (name === "escape") list.filter = "";
    else if (name === "backspace") list.filter = [...list.filter].slice(0, -1).join("");
    else list.filter += text;
  }

  #act(key: string): void {
    const list = this.#list;
    switch (key) {
      case "up":
      case "k":
        return list.move(-1);
      case "down":
      case "j":
        return list.move(1);
      case "pageup":
        return list.movePage(-1);
      case "pagedown":
        return list.movePage(1);
      case "home":
        return list.first();
      case "end":
        return list.last();
      case "/":
        this.#typesFilter = true;
        return;
      case "f":
        list.failuresOnly = !list.failuresOnly;
        return;
      case "s":
        return list.nextOrder();
      case "escape":
        list.filter = "";
        list.failuresOnly = false;
        return;
      case "?":
        this.#showsKeys = true;
        return;
      case "q":
        return this.#options.leave();
      default:
        this.#actOnRun(key);
    }
  }

  #actOnRun(key: string): void {
    const act = RUN_ACTIONS[key];
    const picture = this.#picture;
    if (!act || !picture) return;
    const row = this.#list.selected;
    const run = row && this.#options.run(row);
    if (!run) {
      this.#message = row ? "no run to act on" : "select a run first: ↓";
      return;
    }
    this.#work = this.#do(() => act(this.#context, picture, run));
  }

  async #do(action: () => Promise<string>): Promise<void> {
    try {
      await this.#options.check?.();
      this.#message = await action();
    } catch (error) {
      this.#message = messageOf(error);
    }
    this.#work = undefined;
    this.#picture?.refresh({ answers: true });
  }
}
