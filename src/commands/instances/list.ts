import { InvalidArgumentError, Option, type Command } from "@commander-js/extra-typings";
import type { Api } from "../../api/api.ts";
import type { Context, OpenContext } from "../../context.ts";
import { instancesOf, isUuid, resolveUser } from "../../customers/find.ts";
import {
  getInstances,
  listInstances,
  scanInstances,
  type Instance,
  type InstanceFilter,
} from "../../customers/instances.ts";
import type { Prints } from "../../terminal/rows.ts";
import { sayCut } from "../shared/cut-list.ts";
import { examples, limitOption, once, userOption } from "../shared/options.ts";
import { instanceView } from "./shared/view.ts";

const STATES = ["active", "inactive_trial_stopped", "suspended", "destroyed"] as const;

interface ListOptions {
  readonly user?: string | undefined;
  readonly organization?: string | undefined;
  readonly search?: string | undefined;
  readonly status?: (typeof STATES)[number] | undefined;
  readonly limit: number;
  readonly refresh: boolean;
}

export function configure(command: Command, open: OpenContext): void {
  command
    .addOption(userOption())
    .addOption(organizationOption())
    .option("-S, --search <text>", "only instances with this text in e-mail or sandbox ID, or with this ID")
    .addOption(new Option("-s, --status <state>", "only instances in this (billing) state").choices(STATES))
    .addOption(limitOption(30))
    .option("--no-refresh", "leave out the machines' own status")
    .addHelpText(
      "after",
      examples(
        "kiloclaw-admin instances list --user jane@example.com",
        "kiloclaw-admin instances list --organization e0000000-0000-4000-8000-00000000000e",
        "kiloclaw-admin instances list --status active --json --fields id,userEmail,machineStatus",
      ),
    )
    .action(async (options) => list(await open(), options));
}

export const prints = (): Prints => [{ view: instanceView }];

async function list(
  { api: open, choose, output }: Pick<Context, "api" | "choose" | "output">,
  options: ListOptions,
): Promise<void> {
  const api = await open();
  const { user, organization, search, status, limit } = options;
  const filter = { ...(search === undefined ? {} : { search }), status: status ?? "all" } as const;
  let total = 0;
  let listed: Instance[];
  if (user === undefined && organization === undefined) {
    listed = await listInstances(api, filter, limit, (all) => (total = all));
  } else {
    const found =
      user === undefined ? await all(api, filter) : await instancesOf(api, await resolveUser(api, user, choose));
    const fitting = found.filter(
      ({ lifecycleState, organizationId }) =>
        (status === undefined || lifecycleState === status) &&
        (organization === undefined || organizationId === organization),
    );
    total = fitting.length;
    listed = fitting.slice(0, limit);
  }
  await output.list(options.refresh ? await withMachines(api, listed) : listed, instanceView, "no instances");
  sayCut({ output }, listed.length, total > listed.length ? { total } : undefined);
}

/** The platform's list cannot be asked for an organization. */
const organizationOption = () =>
  new Option("--organization <id>", "only instances in this organization; all pages of the list are read").argParser(
    (given: string, previous: string | undefined): string => {
      const id = once(given, previous).toLowerCase();
      if (isUuid(id)) return id;
      throw new InvalidArgumentError("It is not an organization's ID (a UUID).");
    },
  );

/** All instances that pass the filter, newest first. */
async function all(api: Api, filter: InstanceFilter): Promise<Instance[]> {
  const found: Instance[] = [];
  await scanInstances(api, filter, (instance) => found.push(instance));
  return found.toSorted((a, b) => b.createdAt.getTime() - a.createdAt.getTime());
}

/** The instances with their machines' status, as far as the machines tell. */
async function withMachines(api: Api, listed: readonly Instance[]): Promise<Instance[]> {
  const known = new Map(listed.map((instance) => [instance.id, instance]));
  const alive = listed.filter(({ destroyedAt }) => destroyedAt === null).map(({ id }) => id);
  // Trouble with a machine, and an instance that is gone by now, are not the list's.
  for await (const looked of getInstances(api, alive)) if ("instance" in looked) known.set(looked.id, looked.instance);
  return [...known.values()];
}
