import type { Api } from "../api/api.ts";
import type { Subject } from "../customers/subject.ts";
import { CliError } from "../errors.ts";
import { command, hint } from "../typed-command.ts";
import { listRuns, scanRuns } from "./list.ts";
import type { Run } from "./run.ts";

const ALL = Number.MAX_SAFE_INTEGER;
const MAX_CANDIDATES = 10;

/** The shortest beginning of a run ID that is taken as one. */
const MIN_PREFIX_LENGTH = 8;

export interface RunScope {
  /** The user whose runs are meant: makes the search short, and gives `@latest` its meaning. */
  readonly subject?: Subject | undefined;
}

/**
 * Finds the runs that `ids` name: full IDs, unique prefixes of eight or more characters, or `@latest` of a user.
 *
 * @throws CliError `not-found`, `ambiguous` with the candidates, or `usage`
 */
export async function resolveRuns(api: Api, ids: readonly string[], { subject }: RunScope = {}): Promise<Run[]> {
  const wanted = ids.map((text) => text.toLowerCase());
  for (const text of wanted) {
    if (text === "@latest") {
      if (!subject) throw new CliError("usage", "@latest needs --user, to say whose latest run is meant");
    } else if (!/^[0-9a-f]{8}[0-9a-f-]*$/.test(text) || text.length > 36) {
      throw new CliError("usage", `"${text}" is not a run ID`, {
        hint: `give the full ID, its first ${MIN_PREFIX_LENGTH} or more characters, or @latest with --user`,
      });
    }
  }
  const matches = new Map<string, Run[]>(wanted.map((text) => [text, []]));
  // A full ID is found once; a prefix is unique only when every run has been looked at.
  const complete = () => wanted.every((text) => isFullId(text) && matches.get(text)?.length === 1);
  const scan = subject ? listRuns(api, { subject }, ALL) : scanRuns(api, {});
  for await (const run of scan) {
    for (const [text, found] of matches) {
      if (text === "@latest" ? found.length === 0 : run.id.startsWith(text)) found.push(run);
    }
    if (complete() || (wanted.every((text) => text === "@latest") && matches.get("@latest")?.length === 1)) break;
  }
  return wanted.map((text) => theOne(text, matches.get(text) ?? []));
}

function theOne(text: string, found: readonly Run[]): Run {
  const [run] = found;
  if (!run) {
    throw new CliError("not-found", text === "@latest" ? "this user has no runs" : `no run has the ID ${text}`, {
      hint: hint`see the runs there are: ${command("runs list")}`,
    });
  }
  if (found.length === 1) return run;
  throw new CliError("ambiguous", `"${text}" matches ${found.length} runs`, {
    hint: [
      ...found.slice(0, MAX_CANDIDATES).map(({ id, userEmail, status }) => hint`${id}  ${status}  ${userEmail ?? "-"}`),
      ...(found.length > MAX_CANDIDATES ? [`and ${found.length - MAX_CANDIDATES} more; --user narrows it down`] : []),
    ],
  });
}

function isFullId(text: string): boolean {
  return text.length === 36;
}
