/** `--unless-started-since`: a start that is there already is not sent, whoever sent it and from wherever. */
import type { Api } from "../../api/api.ts";
import { promptFacts } from "../../journal/record.ts";
import { listRuns } from "../list.ts";
import type { Run } from "../run.ts";
import { fits, NEWEST } from "./row-search.ts";

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

/** Looks for runs that are there already, as often as the instance's newest rows are read anew. */
export class AlreadyStarted {
  readonly #api: Api;
  readonly #request: Same;
  readonly #since: Date;
  #readOlder = false;

  constructor(api: Api, request: Same, since: Date) {
    this.#api = api;
    this.#request = request;
    this.#since = since;
  }

  /**
   * The newest run that is what this start would become, whatever its status; nobody's status is asked.
   *
   * @param rows the instance's newest runs, newest first. Older ones are read where these do not go back far enough, and once:
   *   what is added later is among the newest.
   * @throws ApiError
   */
  async find(rows: readonly Run[]): Promise<Run | undefined> {
    const found = rows.find((run) => this.is(run));
    const from = new Date(this.#since.getTime() - SLACK_MS);
    const oldest = rows.length < NEWEST ? undefined : rows.at(-1);
    if (found || !oldest || oldest.startedAt < from || this.#readOlder) return found;
    this.#readOlder = true;
    const { id: instanceId } = this.#request.instance;
    for await (const run of listRuns(this.#api, { instanceId, since: () => from }, Infinity)) {
      if (this.is(run)) return run;
    }
    return undefined;
  }

  /** Whether a run is what this start would become. */
  is(run: Run): boolean {
    return isAlreadyStarted(run, this.#request, this.#since);
  }
}
