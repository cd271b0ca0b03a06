/** The options that say on whom many runs are to be started. */
import { InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { USERS_FORMATS, type UsersFormat } from "../../../bulk/input/formats.ts";
import { parseShard, type AskedShard } from "../../../bulk/plan/shard.ts";
import type { RunStatus } from "../../../contract/procedures.ts";
import { CliError } from "../../../errors.ts";
import { once } from "../../shared/options.ts";
import type { GivenTime } from "../../shared/when.ts";
import type { PromptSources } from "./prompt.ts";

/** Billing states of instances, and statuses of runs: which of them `--status` takes depends on what is picked from. */
export const INSTANCE_STATES = ["active", "inactive_trial_stopped", "suspended"] as const;
export const RUN_STATUSES = ["running", "completed", "failed", "cancelled"] as const satisfies readonly RunStatus[];

export interface TargetOptions {
  readonly user?: readonly string[] | undefined;
  readonly instance?: string | undefined;
  readonly usersFile?: string | undefined;
  readonly usersFormat?: UsersFormat | undefined;
  readonly userColumn?: string | undefined;
  readonly instanceColumn?: string | undefined;
  readonly fromInstances?: true | undefined;
  readonly fromRuns?: true | undefined;
  readonly status?: (typeof INSTANCE_STATES)[number] | RunStatus | undefined;
  readonly search?: string | undefined;
  readonly imageTag?: string | undefined;
  readonly since?: GivenTime | undefined;
  readonly initiatedBy?: "admin" | "user" | "me" | undefined;
  readonly shard?: AskedShard | undefined;
}

/** Whether the options mean a job, rather than one start. */
export function meansMany({ user = [], usersFile, fromInstances, fromRuns, shard }: TargetOptions): boolean {
  return user.length > 1 || usersFile !== undefined || (fromInstances ?? fromRuns) === true || shard !== undefined;
}

export const usersOption = () =>
  new Option("-u, --user <user>", "the customer: e-mail, user ID or instance ID; several make a job").argParser(
    (value: string, previous: readonly string[] | undefined): readonly string[] => [...(previous ?? []), value],
  );

export const usersFileOption = () =>
  new Option(
    "--users-file <file>",
    "the customers, one a line, or CSV, JSON or JSON lines; - is standard input",
  ).argParser(once);

export const usersFormatOption = () =>
  new Option("--users-format <format>", "their format (default: by the file's extension, else its content)").choices(
    USERS_FORMATS,
  );

export const userColumnOption = () =>
  new Option(
    "--user-column <name>",
    "the column that names the user (default: user, email, userEmail, userId …)",
  ).argParser(once);

export const instanceColumnOption = () =>
  new Option(
    "--instance-column <name>",
    "the column that names the instance (default: instance, instanceId …)",
  ).argParser(once);

export const fromInstancesOption = () =>
  new Option("--from-instances", "the instances that pass --search, --status, --image-tag");

export const fromRunsOption = () =>
  new Option("--from-runs", "the instances of the runs that pass --search, --status, --since, --initiated-by");

export const targetSearchOption = () =>
  new Option("-S, --search <text>", "with --from-…: only those with this text, as in the lists").argParser(once);

export const targetStatusOption = () =>
  new Option("-s, --status <status>", "with --from-…: only instances in this state, or runs with this status").choices([
    ...INSTANCE_STATES,
    ...RUN_STATUSES,
  ] as const);

export const imageTagOption = () =>
  new Option("--image-tag <tag>", "with --from-instances: only those on this version of the image").argParser(once);

export const shardOption = () =>
  new Option(
    "--shard <k/n>",
    "only slice k of n, always the same entries; auto/n: this machine's, as the scheduler's environment says",
  ).argParser((text: string): AskedShard => {
    const shard = parseShard(text);
    if (shard) return shard;
    throw new InvalidArgumentError("Give the slice's number and how many there are, such as 1/4, or auto/4.");
  });

/**
 * Checks that the options say once who is meant, and nothing that would be left unheard.
 *
 * @throws CliError `usage`
 */
export function checkTargetOptions(options: TargetOptions & PromptSources): void {
  const { user = [], usersFile, fromInstances, fromRuns, instance, usersFormat, userColumn, instanceColumn } = options;
  const { search, status, imageTag, since, initiatedBy, source, promptFile } = options;
  const sources = [user.length > 0, usersFile !== undefined, fromInstances === true, fromRuns === true];
  if (sources.filter(Boolean).length !== 1) {
    throw new CliError("usage", "name the customers in one way", {
      hint: "--user USER, again for each; --users-file FILE; --from-instances or --from-runs with filters",
    });
  }
  only({ "--instance": instance }, "a single --user", user.length === 1);
  only(
    { "--users-format": usersFormat, "--user-column": userColumn, "--instance-column": instanceColumn },
    "--users-file",
    usersFile !== undefined,
  );
  only(
    { "--search": search, "--status": status },
    "--from-instances or --from-runs",
    (fromInstances ?? fromRuns) === true,
  );
  only({ "--image-tag": imageTag }, "--from-instances", fromInstances === true);
  only({ "--since": since, "--initiated-by": initiatedBy }, "--from-runs", fromRuns === true);
  if (usersFile === "-" && (source === "-" || promptFile === "-")) {
    throw new CliError("usage", "standard input cannot be both the users and the prompt", {
      hint: "give the prompt with -p TEXT or --prompt-file FILE",
    });
  }
  const filters = [search, status, imageTag, since, initiatedBy];
  if ((fromInstances ?? fromRuns) && filters.every((value) => value === undefined)) {
    throw new CliError("usage", "--from-… without a filter means every customer there is", {
      hint: fromInstances
        ? "say which: --status active, --search TEXT, --image-tag TAG"
        : "say which: --status failed, --since 2h, --search TEXT, --initiated-by me",
    });
  }
}

function only(flags: Readonly<Record<string, unknown>>, where: string, fits: boolean): void {
  const [flag] = Object.entries(flags).find(([, value]) => value !== undefined) ?? [];
  if (flag !== undefined && !fits) throw new CliError("usage", `${flag} needs ${where}`);
}
