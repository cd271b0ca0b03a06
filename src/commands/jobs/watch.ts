import type { Command } from "@commander-js/extra-typings";
import { ownSignal } from "../../async/own-signal.ts";
import { wait } from "../../async/wait.ts";
import { versionOf } from "../../bulk/job/files.ts";
import { loadJob, readJob } from "../../bulk/job/job.ts";
import type { Context, OpenContext } from "../../context.ts";
import { CliError } from "../../errors.ts";
import { writerOf } from "../../journal/claim.ts";
import type { Prints } from "../../terminal/rows.ts";
import { sayOutcome, throwIfOpen } from "../shared/job/run.ts";
import { countsWords, openScreen } from "../shared/job/screen.ts";
import { JobTally } from "../shared/job/tally.ts";
import { itemView, jobArgument } from "../shared/job/view.ts";
import { examples } from "../shared/options.ts";
import { assertSamePlatform } from "./shared/same-platform.ts";

export function configure(command: Command, open: OpenContext): void {
  command
    .argument("<job>", jobArgument)
    .addHelpText(
      "after",
      examples("kiloclaw-admin jobs watch @latest", "kiloclaw-admin jobs watch 7c1e9a52 -o jsonl") +
        "\n\nFollows a job that another process on this machine is working on, and exits with its result. Ctrl-C leaves the job alone." +
        "\nNeeds no token and no network: it reads what that process writes to disk.",
    )
    .action(async (id) => watch(await open(), id));
}

export const prints = (): Prints => [{ view: itemView }, { when: "-o jsonl", events: "job-event" }];

/** How often it is looked for news, and how much longer than a look takes, at least. */
const LOOK_MS = 500;
const LOOKS_COST = 4;

async function watch(context: Context, id: string): Promise<void> {
  const { output, paths, stop } = context;
  output.expect(itemView);
  let job = await loadJob(paths.state, id);
  const { file, settings } = job;
  const { items } = job;
  const tally = new JobTally(items, { sent: job.sent });
  await output.prepare();
  const left = ownSignal(stop);
  const screen = await openScreen(
    context,
    { id: file.id, tally, items },
    {
      leave: () => left.abort(),
      check: async () => assertSamePlatform("jobs watch", { ...job.facts, id: file.id }, await context.platform()),
    },
  );
  try {
    let version: string | undefined;
    while (job.facts.state === "running") {
      const began = performance.now();
      const now = await versionOf(file);
      // Its files only ever grow: as long as they are as they were, there is nothing new, but that its process may be gone.
      if (now === undefined || now !== version || (await writerOf(file.path)) === null) {
        version = now;
        job = await readJob(file);
        for (const [slot, item] of job.items.entries()) {
          const before = items[slot];
          if (before?.state === item.state && before.runId === item.runId && before.problem === item.problem) continue;
          items[slot] = item;
          const event = { type: "item", item } as const;
          tally.see(event);
          screen.show(event);
        }
      }
      await wait(Math.max(LOOK_MS, LOOKS_COST * (performance.now() - began)), left.signal);
    }
  } catch (error) {
    if (!left.signal.aborted) throw error;
  } finally {
    left.release();
    await screen.end(items);
  }
  if (job.facts.state === "running") {
    output.note(`stopped watching; the job goes on: ${countsWords(tally)}`);
    if (stop.aborted) return;
    throw new CliError("still-running", `job ${file.id}: ${countsWords(tally)}`, { silent: true });
  }
  sayOutcome(context, file.id, tally);
  throwIfOpen(output, file.id, tally, settings);
}
