import type { Command } from "@commander-js/extra-typings";
import { ApiError } from "../../api/api-error.ts";
import type { Api } from "../../api/api.ts";
import type { Context, OpenContext } from "../../context.ts";
import { getInstance } from "../../customers/instances.ts";
import type { Run } from "../../runs/run.ts";
import { findRuns } from "../shared/find-runs.ts";
import { examples, RUN_ARGUMENT, userOption } from "../shared/options.ts";
import { ALL_RUNS_PAGE, instancePage, openPage, pagePrints, printOption } from "../shared/platform-page.ts";

interface OpenOptions {
  readonly user?: string | undefined;
  readonly print?: true | undefined;
}

export function configure(command: Command, open: OpenContext): void {
  command
    .argument("<run>", RUN_ARGUMENT)
    .addOption(userOption())
    .addOption(printOption())
    .addHelpText(
      "after",
      examples("kiloclaw-admin runs open jane@example.com", "kiloclaw-admin runs open 3f2a91c4 --print") +
        "\n\nThe platform's page of the run's instance; where that was destroyed, the list of all runs. You sign in there as yourself.",
    )
    .action(async (id, options) => openRun(await open(), id, options));
}

export const prints = pagePrints;

async function openRun(
  context: Pick<Context, "api" | "choose" | "host" | "output" | "platform" | "signedInPage">,
  id: string,
  { user, print }: OpenOptions,
): Promise<void> {
  const api = await context.api();
  for (const run of await findRuns(context, api, [id], { user }))
    await openPage(context, await pageOf(api, run), { print });
}

/** A destroyed instance, and one that is gone, have no page that shows a run. */
async function pageOf(api: Api, { instanceId }: Run): Promise<string> {
  if (instanceId === null) return ALL_RUNS_PAGE;
  try {
    const { destroyedAt } = await getInstance(api, instanceId);
    return destroyedAt === null ? instancePage(instanceId) : ALL_RUNS_PAGE;
  } catch (error) {
    if (error instanceof ApiError && error.kind === "not-found") return ALL_RUNS_PAGE;
    throw error;
  }
}
