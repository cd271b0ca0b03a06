import type { Command } from "@commander-js/extra-typings";
import { PromptTemplate } from "../../bulk/input/prompt-template.ts";
import { ITEM_STATES, STATES_IN_ORDER, type ItemState } from "../../bulk/item-state.ts";
import type { Item } from "../../bulk/item.ts";
import { loadJob } from "../../bulk/job/job.ts";
import { planTargets, type AddressedEntry } from "../../bulk/plan/plan.ts";
import type { Context, OpenContext } from "../../context.ts";
import { CliError } from "../../errors.ts";
import type { Prints } from "../../terminal/rows.ts";
import { command, hint } from "../../typed-command.ts";
import { confirmOptions } from "../shared/confirm-many.ts";
import { canaryOptions, jobOptions, jobSettings, startOptions } from "../shared/job/options.ts";
import { expectPlan, planView, showPlan, summarizePlan } from "../shared/job/plan-view.ts";
import { beginJob, type BeginOptions } from "../shared/job/run.ts";
import { itemView, jobArgument } from "../shared/job/view.ts";
import { examples } from "../shared/options.ts";
import { whyOptions } from "../shared/ticket-and-reason.ts";
import { assertSamePlatform } from "./shared/same-platform.ts";

interface RetryOptions extends BeginOptions {
  readonly also?: readonly ItemState[] | undefined;
  readonly dryRun?: true | undefined;
}

const RETRIED = STATES_IN_ORDER.filter((state) => ITEM_STATES[state].retried === "yes");
const ALSO = STATES_IN_ORDER.filter((state) => ITEM_STATES[state].retried === "asked").toSorted();

export function configure(command: Command, open: OpenContext): void {
  const job = command
    .argument("<job>", jobArgument)
    .option("--also <states...>", `targets in these states, too: ${ALSO.join(", ")}`);
  confirmOptions(whyOptions(startOptions(canaryOptions(jobOptions(job)))))
    .option("-n, --dry-run", "show what would be started, and send nothing")
    .addHelpText(
      "after",
      examples(
        "kiloclaw-admin jobs retry-failed 7c1e9a52",
        "kiloclaw-admin jobs retry-failed @latest --also cancelled --dry-run",
      ) +
        "\n\nStarts a new job, with the same prompt, for the targets whose run failed, whose start was refused, whose instance was" +
        "\nstopped, or where another run was in progress. Starts with unknown outcome are left out: jobs resume looks for them.",
    )
    .action(async (id, options) => retryFailed(await open(), id, { ...options, also: alsoOf(options.also) }));
}

export const prints = (): Prints => [
  { view: itemView },
  { when: "-o jsonl", events: "job-event" },
  { when: "--dry-run", view: planView },
];

function alsoOf(states: true | readonly string[] | undefined): readonly ItemState[] {
  return (states === true || states === undefined ? [] : states).map((text) => {
    const state = ALSO.find((one) => one === text);
    if (state) return state;
    throw new CliError("usage", `--also ${text} is not a state that can be tried again`, {
      hint: `it can be: ${ALSO.join(", ")}`,
    });
  });
}

async function retryFailed(context: Context, id: string, options: RetryOptions): Promise<void> {
  const { output, paths, host } = context;
  if (options.dryRun) expectPlan(output);
  else output.expect(itemView);
  const { facts, items, plan, settings: before } = await loadJob(paths.state, id);
  const states = [...RETRIED, ...(options.also ?? [])];
  const entries = items.flatMap((item): AddressedEntry[] => (states.includes(item.state) ? addressed(item) : []));
  if (entries.length === 0) {
    throw new CliError("not-found", `job ${facts.id} has no target to retry: none is ${states.join(", ")}`, {
      hint: hint`see each target's outcome: ${command("jobs report", facts.id)}`,
    });
  }
  const platform = await context.platform();
  assertSamePlatform("jobs retry-failed", facts, platform);
  const settings = jobSettings(options, host.stdout.isTTY === true, {
    ...before,
    // The run that failed has been started since, too.
    unlessStartedSince: null,
  });
  const template = new PromptTemplate(plan.prompt);
  const progress = await output.busy(`checking ${entries.length} targets`);
  const targets = await planTargets(await context.api(), entries).finally(() => progress.stop());
  if (options.dryRun) {
    await showPlan(output, targets);
    summarizePlan(output, targets, template);
    return output.note("dry run: nothing was sent");
  }
  const source = { kind: "job", path: null, sha256: null } as const;
  await beginJob(context, { targets, template, source }, settings, options);
}

/** Whose instance it is, is known. */
function addressed({ target }: Item): AddressedEntry[] {
  const { named, instance, line, fields, userId, userEmail, instanceId } = target;
  if (userId === null || instanceId === null) return [];
  return [{ named, instance, line, fields, destination: { userId, userEmail, instanceId } }];
}
