import { Option, type Command } from "@commander-js/extra-typings";
import type { OpenContext } from "../../context.ts";
import type { Prints } from "../../terminal/rows.ts";
import { expectCountOption } from "../shared/confirm-many.ts";
import { instanceOption } from "../shared/instance-option.ts";
import { canaryOptions, jobOptions, startOptions } from "../shared/job/options.ts";
import { examples, intervalOption, once, yesOption } from "../shared/options.ts";
import { runView } from "../shared/run-view.ts";
import { whyOptions } from "../shared/ticket-and-reason.ts";
import { sinceOption, unlessStartedSinceOption } from "../shared/when.ts";
import { initiatedByOption } from "./shared/filter.ts";
import { playbookOption, setOption } from "./start/playbook.ts";
import {
  fromInstancesOption,
  fromRunsOption,
  imageTagOption,
  instanceColumnOption,
  meansMany,
  shardOption,
  targetSearchOption,
  targetStatusOption,
  userColumnOption,
  usersFileOption,
  usersFormatOption,
  usersOption,
} from "./start/target-options.ts";

export function configure(command: Command, open: OpenContext): void {
  const one = command
    .argument("[source...]", "- reads the prompt from standard input")
    .addOption(usersOption())
    .addOption(instanceOption())
    .addOption(new Option("-p, --prompt <text>", "what to repair, up to 10,000 characters").argParser(once))
    .addOption(new Option("--prompt-file <file>", "read the prompt from a file").argParser(once))
    .addOption(playbookOption())
    .addOption(setOption())
    .option("-e, --edit", "write the prompt in your editor ($VISUAL, $EDITOR)")
    .option("-w, --watch", "follow the run to its end, and exit with its result")
    .addOption(intervalOption());
  const many = whyOptions(startOptions(one).addOption(unlessStartedSinceOption()))
    .addOption(yesOption())
    .option("-n, --dry-run", "show what would be started, and send nothing")
    .optionsGroup("Many targets (a job):")
    .addOption(usersFileOption())
    .addOption(usersFormatOption())
    .addOption(userColumnOption())
    .addOption(instanceColumnOption())
    .addOption(fromInstancesOption())
    .addOption(fromRunsOption())
    .addOption(targetSearchOption())
    .addOption(targetStatusOption())
    .addOption(imageTagOption())
    .addOption(sinceOption("only runs started since"))
    .addOption(initiatedByOption())
    .addOption(shardOption())
    .addOption(expectCountOption())
    .optionsGroup("How a job runs:");
  canaryOptions(jobOptions(many))
    .addHelpText(
      "after",
      examples(
        'kiloclaw-admin runs start --user jane@example.com -p "gateway crash-loops since the config edit" --watch',
        "kiloclaw-admin runs start --user jane@example.com --prompt-file incident-42.txt",
        'for u in $(cat stuck.txt); do kiloclaw-admin runs start --user "$u" -p "$PROMPT" -q; done',
        'kiloclaw-admin runs start --users-file stuck.txt -p "$PROMPT" --dry-run',
        "kiloclaw-admin runs start --users-file stuck.csv -p 'fix {{fault}}' --canary 5 --max-errors 2% --ticket INC-42",
        'kiloclaw-admin runs start --users-file stuck.csv --playbook restart-gateway --set "fault=no answer"',
        'kiloclaw-admin runs start --from-runs --status failed --since 2h -p "$PROMPT"',
      ) +
        "\n\nPrints the run's ID. A start is sent at most once; see: kiloclaw-admin help safety\nResume an interrupted job: kiloclaw-admin jobs resume",
    )
    .action(async (words, options, typed) => {
      const { sourceIn } = await import("./start/prompt.ts");
      const source = sourceIn(words, options, typed);
      const { user = [], ...rest } = options;
      const [only] = user;
      if (only !== undefined && !meansMany(options)) {
        const { startOne } = await import("./start/one.ts");
        return startOne(await open(), { ...rest, user: only, source });
      }
      const { startMany } = await import("./start/many.ts");
      return startMany(await open(), { ...options, source });
    });
}

/** Loaded only for help: one start needs nothing of a job. */
export const prints = async (): Promise<Prints> => {
  const [{ itemView }, { planView }] = await Promise.all([
    import("../shared/job/view.ts"),
    import("../shared/job/plan-view.ts"),
  ]);
  return [
    { view: runView },
    { when: "--watch", events: "watch-event" },
    { when: "several users", view: itemView },
    { when: "several users, -o jsonl", events: "job-event" },
    { when: "several users, --dry-run", view: planView },
  ];
};
