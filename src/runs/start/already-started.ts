/** `--unless-started-since`: a start that is there already is not sent, whoever sent it and from wherever. */
import type { Api } from "../../api/api.ts";
import { promptFacts } from "../../journal/record.ts";
import { listRuns } from "../list.ts";
import type { Run } from "../run.ts";
import { fits } from "./row-search.ts";

/** What a start is to become. */
interface Same {
  readonly userId: string;
  readonly instance: { readonly id: string };
  readonly prompt: string;
}

/** The platform's times are cut to the second, and come from several machines. */
const SLACK_MS = 5_000;

/** Whether a run is what this start would become: an admin's, with this very prompt on this instance, started since then. */
export function isAlreadyStarted(run: Run, { userId, instance, prompt }: Same, since: Date): boolean {
  const { promptSha256 } = promptFacts(prompt);
  return (
    run.startedAt.getTime() >= since.getTime() - SLACK_MS &&
    fits(run, { userId, instanceId: instance.id, adminId: run.initiatedByAdminId, promptSha256 })
  );
}

/**
 * The newest run that is what this start would become, whatever its status; nobody's status is asked.
 *
 * @param rows the instance's newest runs, newest first; older ones are read only where these do not go back to `since`.
 * @throws ApiError
 */
export async function findAlreadyStarted(
  api: Api,
  request: Same,
  rows: readonly Run[],
  since: Date,
): Promise<Run | undefined> {
  const found = rows.find((run) => isAlreadyStarted(run, request, since));
  const oldest = rows.at(-1);
  const from = new Date(since.getTime() - SLACK_MS);
  if (found || !oldest || oldest.startedAt < from) return found;
  for await (const run of listRuns(api, { instanceId: request.instance.id, since: () => from }, Infinity)) {
    if (isAlreadyStarted(run, request, since)) return run;
  }
  return undefined;
}
