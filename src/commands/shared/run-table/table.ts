/** A live table of runs, in which keys select a run and do with it what a command does. */
import { SelectableList, type ListRules } from "../../../terminal/selectable-list.ts";
import type { Column } from "../../../terminal/table.ts";
import type { ActionContext } from "./actions.ts";
import { TableKeys, type TableKeysOptions } from "./keys.ts";

const TICK_MS = 1_000;

export interface RunTableOptions<Row> extends ListRules<Row>, TableKeysOptions<Row> {
  readonly columns: readonly Column<Row>[];
  /** The lines below them. */
  readonly foot: () => readonly string[];
  /** Stands for the rows there is no room for. */
  readonly rest: (left: readonly Row[]) => string;
}

export interface RunTable {
  /** What it shows may have changed. */
  refresh(): void;
  /** Gives the terminal back, once what a key began there is over. */
  end(): Promise<void>;
}

/**
 * Opens the table on a screen of its own. Keys are read where questions can be asked.
 *
 * @returns `undefined` where nothing can be redrawn.
 */
export async function openRunTable<Row>(
  context: ActionContext,
  options: RunTableOptions<Row>,
): Promise<RunTable | undefined> {
  const { columns, rows, foot, rest } = options;
  const { output, prompter } = context;
  const list = new SelectableList(options);
  const keys = prompter.canAsk ? new TableKeys(context, list, options) : undefined;
  const frame = () => {
    list.see(rows(list.isNarrowed));
    return { list, foot: foot(), rest, ...keys?.frame() };
  };
  const picture = await output.live(columns, frame, keys && ((key) => keys.press(key)));
  if (!picture) return undefined;
  keys?.showOn(picture);
  // The elapsed times go on without asking anybody.
  const ticking = setInterval(() => picture.refresh(), TICK_MS);
  return {
    refresh: () => picture.refresh(),
    end: async () => {
      await keys?.idle();
      clearInterval(ticking);
      picture.end();
    },
  };
}
