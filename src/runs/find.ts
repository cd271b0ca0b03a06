import type { Api } from "../api/api.ts";
import { refuse, type Choice, type Choose } from "../customers/choice.ts";
import type { Subject } from "../customers/subject.ts";
import { CliError } from "../errors.ts";
import { command, hint, type Hint } from "../typed-command.ts";
import { listRuns, scanRuns } from "./list.ts";
import type { Run } from "./run.ts";

const ALL = Number.MAX_SAFE_INTEGER;
const MAX_CANDIDATES = 10;
const FULL_LENGTH = 36;
const LATEST = "@latest";
const SHORT_OR_FULL_ID = /^[0-9a-f]{8}(?:[0-9a-f-]*|…[0-9a-f-]+)$/i;

/** The shortest beginning of a run ID that is taken as one. */
const MIN_PREFIX_LENGTH = 8;

export interface RunScope {
  /** The user whose runs are meant: makes the search short, and gives `@latest` its meaning. */
  readonly subject?: Subject | undefined;
  /** Finds out which one is meant by a prefix of several. */
  readonly choose?: Choose;
  /** A run in a few words, for a choice. */
  readonly label?: ((run: Run) => Hint) | undefined;
  /** Finds the run that a word means that names a user, or is a whole ID and of no run. Without it, only runs' own IDs will do. */
  readonly ofUser?: ((text: string) => Promise<Run>) | undefined;
}

/**
 * Finds the runs that `words` name: full IDs, unique prefixes of eight or more characters, short IDs of a table, `@latest` of a user, or a user.
 *
 * @throws CliError `not-found`, `ambiguous` with the candidates, or `usage`
 */
export async function resolveRuns(api: Api, words: readonly string[], scope: RunScope = {}): Promise<Run[]> {
  const { subject, ofUser } = scope;
  for (const word of words) {
    if (isId(word) || (ofUser && namesUser(word))) continue;
    throw new CliError("usage", `"${word}" is not a run ID`, {
      hint: `give the full ID, its first ${MIN_PREFIX_LENGTH} or more characters${ofUser ? ", or the customer's e-mail address" : ""}`,
    });
  }
  const ids = words.filter(isId).map((word) => word.toLowerCase());
  if (!subject && ids.includes(LATEST)) {
    throw new CliError("usage", "@latest needs --user, to say whose latest run is meant");
  }
  const matches = ids.length === 0 ? new Map<string, Run[]>() : await matchesOf(api, ids, subject);
  const found: Run[] = [];
  for (const word of words) {
    const matching = matches.get(word.toLowerCase()) ?? [];
    const otherwise = !isId(word) || (matching.length === 0 && isFullId(word));
    found.push(ofUser && otherwise ? await ofUser(word) : await theOne(word, matching, scope));
  }
  return found;
}

/** The runs that each ID, prefix or `@latest` names. */
async function matchesOf(
  api: Api,
  ids: readonly string[],
  subject: Subject | undefined,
): Promise<ReadonlyMap<string, Run[]>> {
  const matches = new Map<string, Run[]>(ids.map((id) => [id, []]));
  // A full ID is found once, and there is one latest run; a prefix is unique only when every run has been looked at.
  const complete = () => ids.every((id) => (id === LATEST || isFullId(id)) && matches.get(id)?.length === 1);
  const scan = subject ? listRuns(api, { subject }, ALL) : scanRuns(api, {});
  for await (const run of scan) {
    for (const [id, found] of matches) {
      if (id === LATEST ? found.length === 0 : fits(run, id)) found.push(run);
    }
    if (complete()) break;
  }
  return matches;
}

async function theOne(
  word: string,
  found: readonly Run[],
  { choose = refuse, label = runLabel }: RunScope,
): Promise<Run> {
  const [run] = found;
  if (!run) {
    throw new CliError(
      "not-found",
      word.toLowerCase() === LATEST ? "this user has no runs" : `no run has the ID ${word}`,
      {
        hint: hint`see the runs there are: ${command("runs list")}`,
      },
    );
  }
  if (found.length === 1) return run;
  const message = `"${word}" matches ${found.length} runs`;
  return choose({
    kind: "ambiguous",
    message,
    question: `${message}. Which one is meant?`,
    choices: found.slice(0, MAX_CANDIDATES).map((value): Choice<Run> => ({ value, id: value.id, label: label(value) })),
    more: Math.max(0, found.length - MAX_CANDIDATES),
    word,
  });
}

function runLabel({ userEmail, userId, status }: Run): Hint {
  return hint`${userEmail ?? userId}, ${status}`;
}

function isId(word: string): boolean {
  return word.toLowerCase() === LATEST || (SHORT_OR_FULL_ID.test(word) && word.length <= FULL_LENGTH);
}

/** Its first characters, or both ends with `…` between them, as a table shows IDs that begin alike. */
function fits(run: Run, id: string): boolean {
  const [start = "", end = ""] = id.split("…");
  return run.id.startsWith(start) && run.id.endsWith(end);
}

/** An e-mail address, or an ID that came from another system: `oauth/…`. A UUID is looked for among the runs first. */
export function namesUser(word: string): boolean {
  return /[@/]/.test(word);
}

function isFullId(text: string): boolean {
  return text.length === FULL_LENGTH;
}
