import type { Api } from "../../api/api.ts";
import type { Context } from "../../context.ts";
import { resolveUser } from "../../customers/find.ts";
import type { Subject } from "../../customers/subject.ts";
import { CliError } from "../../errors.ts";
import { resolveRuns } from "../../runs/find.ts";
import { listRuns } from "../../runs/list.ts";
import { runStatusWord, type Run } from "../../runs/run.ts";
import { settleRuns } from "../../runs/settle/settle.ts";
import { formatAgo } from "../../terminal/time.ts";
import { command, hint, plain, type Hint } from "../../typed-command.ts";

/** Of a prompt, so much is shown to tell one run from another. */
const PROMPT_LENGTH = 40;

export interface NamedRuns {
  /** The value of `--user`. */
  readonly user?: string | undefined;
  /** Where a user stands for a run: only one in progress will do, and only where it is the only one. */
  readonly inProgress?: boolean;
}

/**
 * The runs that are named, in that order: by an ID, a prefix of one, `@latest` with `--user`, or by the user (e-mail, user ID or
 * instance ID), who stands for their run in progress, or else the latest. Which one that is is said.
 *
 * @throws CliError `not-found`, `ambiguous`, `usage`
 */
export async function findRuns(
  context: Pick<Context, "choose" | "output">,
  api: Api,
  words: readonly string[],
  { user, inProgress = false }: NamedRuns = {},
): Promise<Run[]> {
  const { choose, output } = context;
  const subject = await resolveUser(api, user, choose);
  const label = (run: Run) => hint`${run.userEmail ?? run.userId}, ${runLabel(run, output.now())}`;
  const ofUser = async (word: string): Promise<Run> => {
    if (user !== undefined) {
      throw new CliError("usage", `"${word}" names no run of --user ${user}`, {
        hint: "name the run by its ID, or leave --user out",
      });
    }
    const named = await resolveUser(api, word, choose).catch((error: unknown) => {
      throw runIdMeant(error, word);
    });
    return runOfUser(context, api, named, { word, inProgress });
  };
  return resolveRuns(api, words, { subject, choose, label, ofUser });
}

async function runOfUser(
  { choose, output }: Pick<Context, "choose" | "output">,
  api: Api,
  subject: Subject,
  { word, inProgress }: { readonly word: string; readonly inProgress: boolean },
): Promise<Run> {
  const who = subject.email ?? subject.userId;
  const running = await runsInProgress(api, subject);
  const [only] = running;
  if (only && running.length === 1) {
    output.note(hint`${who}: run ${only.id} is in progress`);
    return only;
  }
  if (only) {
    return choose({
      kind: "ambiguous",
      message: `${who} has ${running.length} runs in progress; name one`,
      question: `${who} has ${running.length} runs in progress. Which one is meant?`,
      choices: running.map((run) => ({ value: run, id: run.id, label: runLabel(run, output.now()) })),
      word,
    });
  }
  const see = hint`see the runs there were: ${command("runs list", { "--user": subject.userId })}`;
  if (inProgress) throw new CliError("not-found", `${who} has no run in progress`, { hint: see });
  for await (const latest of listRuns(api, filterOf(subject), 1)) {
    const ago = formatAgo(latest.startedAt, output.now());
    output.note(hint`${who}: no run is in progress; the latest is ${latest.id}, started ${plain(ago)}`);
    return latest;
  }
  throw new CliError("not-found", `${who} has no runs`, { hint: see });
}

/** The user's runs that have not ended. Several that are shown as running are polled: the rows of some may be behind. */
async function runsInProgress(api: Api, subject: Subject): Promise<readonly Run[]> {
  const shown: Run[] = [];
  for await (const run of listRuns(api, { ...filterOf(subject), status: "running" }, Number.MAX_SAFE_INTEGER)) {
    shown.push(run);
  }
  if (shown.length < 2) return shown;
  return (await settleRuns(api, shown)).runs.filter(({ status }) => status === "running");
}

function filterOf(subject: Subject) {
  return { subject, instanceId: subject.instance?.id };
}

/** A whole ID may have been a run's: it is said that it is none, either. */
function runIdMeant(error: unknown, word: string): unknown {
  if (!(error instanceof CliError) || error.kind !== "not-found" || /[@/]/.test(word)) return error;
  return new CliError("not-found", `no run has the ID ${word}, and no user or instance either`, {
    hint: hint`see the runs there are: ${command("runs list")}`,
    cause: error,
  });
}

/** A run in a few words, to tell it from others of the same user. */
export function runLabel(run: Run, now: Date): Hint {
  const prompt = run.prompt.replaceAll(/\s+/g, " ").trim().slice(0, PROMPT_LENGTH);
  const state = `${runStatusWord(run)}, started ${formatAgo(run.startedAt, now)}`;
  return hint`${plain(state)}, ${prompt}`;
}
