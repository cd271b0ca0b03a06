import * as z from "zod";
import { admin, PROCEDURES, type Procedure } from "../../contract/procedures.ts";
import { CliError } from "../../errors.ts";
import { command, hint, plain, type Hint } from "../../typed-command.ts";

/** Words with dots between them: nothing that a URL, or a request for several procedures, could be made of. */
const PATH = /^[A-Za-z][A-Za-z0-9]*(?:\.[A-Za-z][A-Za-z0-9]*)+$/;
const MAX_PATH_LENGTH = 100;

/** What has a command of its own, which does more than the call: recognised in whatever spelling. */
const COMMANDS: readonly (readonly [name: RegExp, command: Hint, why: string])[] = [
  [/start[a-z0-9]*run/, command("runs start"), "a start is sent at most once, which takes more than one call"],
  [
    /cancel[a-z0-9]*run/,
    command("runs cancel", "RUN"),
    "the platform keeps no output of a cancelled run, so it is kept first",
  ],
  [/runstatus/, command("runs show", "RUN"), "checking a run's status marks it failed where its machine is stopped"],
];

/**
 * The procedure that a person named: the contract's where it has it, else one of which nothing is known.
 *
 * @throws CliError `usage` where it is no name of one procedure, or has a command of its own.
 */
export function procedureNamed(name: string, { mutate }: { readonly mutate: boolean }): Procedure {
  const letters = lettersOf(name);
  const own = COMMANDS.find(([pattern]) => pattern.test(letters));
  if (own) {
    const [, instead, why] = own;
    throw new CliError("usage", `api does not call "${name}": ${why}; nothing was sent`, {
      hint: hint`use: ${instead}`,
    });
  }
  if (!PATH.test(name) || name.length > MAX_PATH_LENGTH) {
    throw new CliError("usage", `"${name}" is not the name of one procedure; nothing was sent`, {
      hint: hint`example: ${command("api", admin.list.path)}`,
    });
  }
  const known = PROCEDURES.find(({ path }) => path === name);
  const kind = mutate ? "mutation" : "query";
  if (!known) return { path: name, kind, input: z.unknown(), output: z.unknown() };
  if (known.kind === kind) return known;
  throw new CliError("usage", `${name} is a ${known.kind}; nothing was sent`, {
    hint: plain(mutate ? "leave --mutate out" : "add --mutate"),
  });
}

/** The names of what the contract has to be asked; what has a command of its own is not among them. */
export function knownQueries(): string[] {
  return PROCEDURES.filter(
    ({ kind, path }) => kind === "query" && !COMMANDS.some(([pattern]) => pattern.test(lettersOf(path))),
  ).map(({ path }) => path);
}

/** The letters and digits of a name, however they are written: percent-encoded, in capitals, in wide forms, with signs between them. */
function lettersOf(name: string): string {
  let text = name;
  // As often as it is encoded; each turn makes it shorter.
  for (let before = ""; before !== text;) {
    before = text;
    text = text.replaceAll(/%([\da-f]{2})/gi, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
  }
  return text
    .normalize("NFKC")
    .toLowerCase()
    .replaceAll(/[^a-z0-9]/g, "");
}
