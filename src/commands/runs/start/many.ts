import type { Context } from "../../../context.ts";
import { CliError } from "../../../errors.ts";
import { jobSettings } from "../../shared/job/options.ts";
import { expectPlan, showPlan, summarizePlan } from "../../shared/job/plan-view.ts";
import { beginJob, type BeginOptions } from "../../shared/job/run.ts";
import { itemView } from "../../shared/job/view.ts";
import { unlessStartedSinceOf } from "../../shared/when.ts";
import { chosenPlaybook, type PlaybookOptions } from "./playbook.ts";
import type { PromptSources } from "./prompt.ts";
import { checkTargetOptions, type TargetOptions } from "./target-options.ts";
import { resolveTargets } from "./targets.ts";

export interface StartManyOptions extends TargetOptions, PromptSources, PlaybookOptions, BeginOptions {
  readonly watch?: true | undefined;
  readonly interval?: number | undefined;
  readonly dryRun?: true | undefined;
}

/**
 * Starts runs on many instances, as a job.
 *
 * @throws CliError `usage`, `interrupted`, `partial`; what `execute` throws.
 */
export async function startMany(context: Context, options: StartManyOptions): Promise<void> {
  const { output, host } = context;
  checkTargetOptions(options);
  if (options.interval !== undefined) {
    throw new CliError("usage", "--interval is for one run: a job polls each run as often as its output grows");
  }
  if (options.watch && options.detach) throw new CliError("usage", "--watch and --detach exclude each other");
  const playbook = await chosenPlaybook(context, options);
  const asked = { ...options, wait: options.wait ?? options.watch };
  const usual = jobSettings(asked, host.stdout.isTTY === true, undefined, playbook?.facts);
  if (options.canaryPause && !context.prompter.canAsk) {
    throw new CliError("usage", "--canary-pause asks, and there is no terminal to ask on", {
      hint: "leave it out; or start the canary alone: --users-file with its targets, then a job with the others",
    });
  }
  if (options.dryRun) expectPlan(output);
  else output.expect(itemView);
  const since = await unlessStartedSinceOf(context, options.unlessStartedSince);
  const settings = { ...usual, unlessStartedSince: since?.toISOString() ?? null };
  const job = await resolveTargets(context, options, playbook);
  if (options.dryRun) {
    await showPlan(output, job.targets);
    summarizePlan(output, job.targets, job.template);
    return output.note("dry run: nothing was sent");
  }
  await beginJob(context, job, settings, options);
}
