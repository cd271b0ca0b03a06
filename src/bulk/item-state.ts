/** What an item's state means to people. */
import type { ItemState } from "./item.ts";

/** How an item is doing: what colours stand for. */
export type Tone = "good" | "going" | "bad" | "unsure" | "stopped" | "left";

interface StateMeaning {
  readonly tone: Tone;
  readonly meaning: string;
}

/** All states, in the order in which whoever has to act wants them: what went well, what needs somebody, what is not over. */
export const ITEM_STATES = {
  completed: { tone: "good", meaning: "the run completed" },
  failed: { tone: "bad", meaning: "the run failed" },
  unknown: { tone: "unsure", meaning: "a start was sent, and nobody knows what became of it" },
  lost: { tone: "unsure", meaning: "the run ended, and nobody can tell any more how" },
  cancelled: { tone: "stopped", meaning: "the run was cancelled" },
  refused: { tone: "bad", meaning: "the platform refused the start, or was out of reach; nothing was started" },
  conflict: { tone: "stopped", meaning: "another run was in progress; nothing was started" },
  skipped: {
    tone: "stopped",
    meaning: "another run was in progress, or another command was at work there; left alone",
  },
  "machine-down": { tone: "stopped", meaning: "the machine does not run; nothing was started" },
  unplanned: { tone: "left", meaning: "there is no one instance to start on" },
  running: { tone: "going", meaning: "the run goes on" },
  starting: { tone: "going", meaning: "a start is under way" },
  waiting: { tone: "going", meaning: "nothing was sent yet" },
} as const satisfies Record<ItemState, StateMeaning>;

/** The same, to go through. */
export const STATES_IN_ORDER = Object.keys(ITEM_STATES) as readonly ItemState[];
