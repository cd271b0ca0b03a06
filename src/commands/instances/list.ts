import { Option, type Command } from "@commander-js/extra-typings";
import type { Context } from "../../context.ts";
import { CliError } from "../../errors.ts";
import type { OpenContext } from "../../program.ts";
import { getInstance, listInstances, type Instance } from "../../runs/instances.ts";
import { instancesOf, resolveUser } from "../../runs/resolve.ts";
import { examples, limitOption, userOption } from "../options.ts";
import { instanceView } from "./view.ts";

const STATES = ["active", "inactive_trial_stopped", "suspended", "destroyed"] as const;

interface ListOptions {
  readonly user?: string | undefined;
  readonly search?: string | undefined;
  readonly status?: (typeof STATES)[number] | undefined;
  readonly limit: number;
  readonly refresh: boolean;
}

export function configure(command: Command, open: OpenContext): void {
  command
    .addOption(userOption())
    .option("-S, --search <text>", "only instances with this text in e-mail or sandbox ID, or with this ID")
    .addOption(new Option("-s, --status <state>", "only instances in this (billing) state").choices(STATES))
    .addOption(limitOption(30))
    .option("--no-refresh", "leave the machines' own status out")
    .addHelpText(
      "after",
      examples(
        "kiloclaw-admin instances list --user jane@example.com",
        "kiloclaw-admin instances list --status active --json --fields id,userEmail,machineStatus",
      ),
    )
    .action(async (options) => list(await open(), options));
}

async function list({ api: open, output }: Pick<Context, "api" | "output">, options: ListOptions): Promise<void> {
  const api = await open();
  const { user, search, status, limit } = options;
  const listed =
    user === undefined
      ? await listInstances(api, { ...(search === undefined ? {} : { search }), status: status ?? "all" }, limit)
      : (await instancesOf(api, await resolveUser(api, user)))
          .filter(({ lifecycleState }) => status === undefined || lifecycleState === status)
          .slice(0, limit);
  const withMachine = async (instance: Instance) =>
    instance.destroyedAt
      ? instance
      : getInstance(api, instance.id).catch((error: unknown) => {
          if (error instanceof CliError && error.kind === "auth") throw error;
          // Worker trouble is the machine's, not the list's.
          return instance;
        });
  await output.list(
    options.refresh ? await Promise.all(listed.map(withMachine)) : listed,
    instanceView,
    "no instances",
  );
}
