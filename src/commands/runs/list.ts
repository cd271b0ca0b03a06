import { Option, type Command } from "@commander-js/extra-typings";
import type { Context } from "../../context.ts";
import { runStatus, type RunStatus } from "../../contract/procedures.ts";
import { CliError } from "../../errors.ts";
import type { OpenContext } from "../../program.ts";
import { listRuns } from "../../runs/list.ts";
import { isUuid, resolveUser } from "../../runs/resolve.ts";
import type { Run } from "../../runs/run.ts";
import { settleRuns } from "../../runs/settle.ts";
import { duration, examples, instanceOption, limitOption, userOption } from "../options.ts";
import { runView } from "./view.ts";

interface ListOptions {
  readonly user?: string | undefined;
  readonly instance?: string | undefined;
  readonly status?: RunStatus | undefined;
  readonly initiatedBy?: "admin" | "user" | undefined;
  readonly search?: string | undefined;
  readonly since?: number | undefined;
  readonly limit: number;
  readonly refresh: boolean;
}

export function configure(command: Command, open: OpenContext): void {
  command
    .addOption(userOption())
    .addOption(instanceOption())
    .addOption(new Option("-s, --status <status>", "only runs with this status").choices(runStatus.options))
    .addOption(
      new Option("--initiated-by <who>", "only runs started by an admin, or by the customer").choices([
        "admin",
        "user",
      ] as const),
    )
    .option("-S, --search <text>", "only runs with this text in e-mail, prompt or instance ID")
    .addOption(new Option("--since <time>", "only runs started in the last 30m, 2h, 1d …").argParser(duration))
    .addOption(limitOption(30))
    .option("--no-refresh", "show what is recorded, without asking about runs that are shown as running")
    .addHelpText(
      "after",
      examples(
        "kiloclaw-admin runs list --status running",
        "kiloclaw-admin runs list --user jane@example.com --since 1d",
        "kiloclaw-admin runs list --status failed --since 2h -o csv > failed.csv",
      ),
    )
    .action(async (options) => list(await open(), options));
}

async function list(context: Pick<Context, "api" | "output">, options: ListOptions): Promise<void> {
  const { output } = context;
  const api = await context.api();
  const subject = options.user === undefined ? undefined : await resolveUser(api, options.user);
  const { instance = subject?.instance?.id, status, initiatedBy, search, since, limit } = options;
  if (options.instance !== undefined && !isUuid(options.instance)) {
    throw new CliError("usage", `"${options.instance}" is not an instance ID (a UUID)`);
  }
  const listed: Run[] = [];
  const filter = {
    subject,
    instanceId: instance?.toLowerCase(),
    status,
    initiatedBy,
    search,
    since: since === undefined ? undefined : new Date(Date.now() - since),
  };
  for await (const run of listRuns(api, filter, limit)) listed.push(run);
  if (!options.refresh) return output.list(listed, runView, "no runs");

  const { runs, machineDown, unanswered } = await settleRuns(api, listed);
  const shown = status === undefined ? runs : runs.filter((run) => run.status === status);
  await output.list(shown, runView, "no runs");
  if (shown.length < runs.length) output.note(`${count(runs.length - shown.length)} had ended; this is now recorded`);
  if (machineDown.length > 0) {
    output.note(
      `${count(machineDown.length)} shown as running on a machine that is not: asking would mark them failed, so nobody asked`,
    );
  }
  if (unanswered.length > 0) output.warn(`${count(unanswered.length)} could not be brought up to date`);
}

function count(n: number): string {
  return n === 1 ? "1 run" : `${n} runs`;
}
