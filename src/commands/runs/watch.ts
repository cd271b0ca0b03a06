import { Option, type Command } from "@commander-js/extra-typings";
import type { Context } from "../../context.ts";
import { CliError } from "../../errors.ts";
import type { OpenContext } from "../../program.ts";
import { listRuns } from "../../runs/list.ts";
import { resolveRuns, resolveUser } from "../../runs/resolve.ts";
import type { Run } from "../../runs/run.ts";
import { examples, intervalOption, tailOption, timeoutOption, userOption } from "../options.ts";
import { exitWithResult, followRun, type FollowOptions } from "./follow.ts";

interface WatchOptions extends FollowOptions {
  readonly user?: string | undefined;
  readonly exitStatus: boolean;
}

export function configure(command: Command, open: OpenContext): void {
  command
    .argument("[run]", "run ID, a unique beginning of it, or @latest with --user")
    .addOption(userOption())
    .addOption(tailOption("of what was written before, only the last n lines (default on a terminal: 50)"))
    .addOption(new Option("--all", "everything that was written before").conflicts("tail"))
    .addOption(intervalOption())
    .addOption(timeoutOption())
    .addOption(new Option("--no-exit-status", "exit with 0 whatever became of the run"))
    .addHelpText(
      "after",
      examples(
        "kiloclaw-admin runs watch 3f2a91c4",
        "kiloclaw-admin runs watch --user jane@example.com     the run in progress",
        "kiloclaw-admin runs watch 3f2a91c4 -o jsonl | jq -r 'select(.type == \"end\").run.status'",
      ) + "\n\nCtrl-C stops watching; it never cancels the run. The exit code is the run's result: help exit-codes",
    )
    .action(async (id, options) => watch(await open(), id, options));
}

async function watch(
  context: Pick<Context, "api" | "host" | "output" | "stop" | "closed">,
  id: string | undefined,
  options: WatchOptions,
): Promise<void> {
  const run = await chooseRun(context, id, options.user);
  const ended = await followRun(context, run, options);
  if (!ended) return;
  if (context.output.format === "id") context.output.line(ended.id);
  if (options.exitStatus) exitWithResult(ended);
}

async function chooseRun(
  context: Pick<Context, "api">,
  id: string | undefined,
  user: string | undefined,
): Promise<Run> {
  const api = await context.api();
  const subject = user === undefined ? undefined : await resolveUser(api, user);
  if (id !== undefined) {
    const [run] = await resolveRuns(api, [id], { subject });
    if (run) return run;
  }
  if (!subject) {
    throw new CliError("usage", "say which run to watch", {
      hint: [
        "kiloclaw-admin runs watch RUN",
        "kiloclaw-admin runs watch --user USER",
        "see: kiloclaw-admin runs list --status running",
      ],
    });
  }
  for await (const run of listRuns(api, { subject, status: "running" }, 1)) return run;
  throw new CliError("not-found", `${subject.email ?? subject.userId} has no run in progress`, {
    hint: `see the runs there were: kiloclaw-admin runs list --user ${user ?? ""}`,
  });
}
