import * as z from "zod";
import { runShape } from "./run.ts";

/**
 * How a watched run stands. `machine-down`: never polled, because that would mark the run failed. `given-up`: no answer for five
 * minutes, or an answer that leaves nothing to wait for; the run may go on.
 */
const watchState = z.enum(["running", "ended", "machine-down", "given-up"]);

const count = z.int().nonnegative();

/** How many watched runs there are of each kind. */
export const totalsShape = z.object({
  running: count,
  completed: count,
  failed: count,
  cancelled: count,
  unknown: count,
  machineDown: count,
  givenUp: count,
});

/** What every event about one run has. */
const ofRun = { runId: z.string(), at: z.date() };

const ofWatched = {
  state: watchState,
  problem: z.string().nullable().meta({ description: "why there is no answer; null when there is one" }),
  run: runShape,
};

/** An event of `runs watch`, `runs start --watch`, `runs logs --follow` and `runs list --watch`, one line each with `-o jsonl`. */
export const watchEventShape = z
  .discriminatedUnion("type", [
    z
      .object({ type: z.literal("start"), ...ofRun, run: runShape })
      .meta({ description: "`runs start --watch` has started the run, or attached to it" }),
    z
      .object({ type: z.literal("run"), ...ofRun, ...ofWatched })
      .meta({ description: "the run is watched from now on, or answers again" }),
    z.object({ type: z.literal("output"), ...ofRun, text: z.string(), gap: z.boolean(), revised: z.boolean() }).meta({
      description:
        "one watched run: its new output; `gap`: some before it may be missing, `revised`: some before it has changed",
    }),
    z
      .object({ type: z.literal("output-line"), ...ofRun, line: z.string() })
      .meta({ description: "the last line of the run's output is another one" }),
    z
      .object({ type: z.literal("trouble"), ...ofRun, message: z.string() })
      .meta({ description: "no answer about the run, which is not affected" }),
    z.object({ type: z.literal("end"), ...ofRun, ...ofWatched, unstorable: z.boolean() }).meta({
      description: "nothing more will come of the run: see `state`; `unstorable`: the platform cannot store its end",
    }),
    z
      .object({ type: z.literal("totals"), at: z.date(), ...totalsShape.shape })
      .meta({ description: "how many runs there are of each kind, whenever that changes" }),
  ])
  .meta({ description: "an event of a watch, of one run or of many" });
