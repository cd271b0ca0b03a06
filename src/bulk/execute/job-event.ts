import type { Watched } from "../../runs/watch/watched.ts";
import type { Item } from "../item.ts";

/** What happens while a job is done. */
export type JobEvent =
  /** Something has become of a target. */
  | { readonly type: "item"; readonly item: Item }
  /** A start request of this job has left: from here on nobody may be told that nothing was sent. Said once. */
  | { readonly type: "sent" }
  /** A run that the journal did not tell of is this target's: nothing was sent to it now. */
  | { readonly type: "adopted"; readonly item: Item }
  /** Its run wrote something; the last line that says something, as it came: not safe for a terminal. */
  | { readonly type: "output-line"; readonly item: Item; readonly line: string }
  /** Nothing more will come of a run that was followed: see its state. */
  | { readonly type: "run-end"; readonly item: Item; readonly watched: Watched }
  /** How many starts may be under way at a time has changed, or none may be begun for a while. */
  | { readonly type: "pace"; readonly limit: number; readonly pausedMs: number }
  /** The canary's runs have all completed; the rest follows. */
  | { readonly type: "canary-passed" }
  /** Nothing more is started. What is under way comes to its end. */
  | { readonly type: "stopping"; readonly why: string }
  /** What became of a start could not be written down; it is to be reconciled. */
  | { readonly type: "unrecorded"; readonly why: string };
