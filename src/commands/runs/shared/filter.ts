/** The options that pick runs out of all there are, the same in every command that takes many. */
import { Option } from "@commander-js/extra-typings";
import type { Api } from "../../../api/api.ts";
import type { Context } from "../../../context.ts";
import type { RunStatus } from "../../../contract/procedures.ts";
import { resolveUser } from "../../../customers/find.ts";
import { CliError } from "../../../errors.ts";
import type { RunFilter } from "../../../runs/list.ts";
import { command, hint } from "../../../typed-command.ts";
import { sinceOf, type GivenTime } from "../../shared/when.ts";

export const initiatedByOption = () =>
  new Option("--initiated-by <who>", "only runs started by an admin, by the customer, or by you").choices([
    "admin",
    "user",
    "me",
  ] as const);

export const searchOption = () =>
  new Option("-S, --search <text>", "only runs with this text in e-mail, prompt or instance ID");

export interface FilterOptions {
  readonly user?: string | undefined;
  readonly instance?: string | undefined;
  readonly status?: RunStatus | undefined;
  readonly initiatedBy?: "admin" | "user" | "me" | undefined;
  readonly search?: string | undefined;
  readonly since?: GivenTime | undefined;
}

/**
 * The filter that the options mean.
 *
 * @throws CliError `not-found`, `ambiguous`, `usage`
 */
export async function resolveFilter(
  context: Pick<Context, "choose" | "me" | "output">,
  api: Api,
  options: FilterOptions,
): Promise<RunFilter> {
  const { user, initiatedBy, since, status, search } = options;
  const subject = await resolveUser(api, user, context.choose);
  const { instance: instanceId = subject?.instance?.id } = options;
  return {
    subject,
    instanceId,
    status,
    initiatedBy: initiatedBy === "me" ? "admin" : initiatedBy,
    adminId: initiatedBy === "me" ? await myId(context.me) : undefined,
    search,
    // Not before the platform has answered: it is counted back from now on its clock.
    since: sinceOf(context, since, api.clock),
  };
}

/** Says which moment `--since` came to, before anything is changed by it. Only once the platform has answered. */
export function saySince({ output, prompter }: Pick<Context, "output" | "prompter">, { since }: RunFilter): void {
  if (since) output.notes([{ label: "since", value: since().toISOString() }], { needed: prompter.canAsk });
}

async function myId(me: Context["me"]): Promise<string> {
  const { userId } = await me();
  if (userId !== undefined) return userId;
  throw new CliError("auth", "the platform does not say who you are, so your own runs cannot be told from others'", {
    hint: hint`see why: ${command("auth status")}`,
  });
}
