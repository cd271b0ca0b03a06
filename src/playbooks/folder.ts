/** The folder in which a profile's playbooks lie, a file each. Who can change one decides what is sent: the files have to be ours alone. */
import { readdir, realpath } from "node:fs/promises";
import { join } from "node:path";
import { CliError, messageOf } from "../errors.ts";
import { systemFiles } from "../files/file-layer.ts";
import { isMissing } from "../files/missing.ts";
import { assertTrusted, flawOf, flawsOnTheWay, untrusted, type Flaw } from "../files/trust.ts";
import { PLAYBOOK_NAME } from "../journal/record.ts";
import { command, hint } from "../typed-command.ts";
import { problemWords, type Playbook, type Problem } from "./playbook.ts";

const ENDING = ".md";
/** What a checkout has beside its playbooks: README.md, CONTRIBUTING.md. */
const NO_PLAYBOOK = /^[A-Z][A-Z_-]*\.md$/;
const MAX_BYTES = 64 * 1024;
const NAME_WORDS = "a playbook's name has a-z, 0-9 and -, and begins with a letter or a digit";

/** A file of the folder as it was found. */
export interface PlaybookFile {
  readonly name: string;
  readonly path: string;
}

/** A file with what was found in it: a playbook, or what keeps it from being one. */
export interface ReadFile extends PlaybookFile {
  readonly playbook: Playbook | undefined;
  readonly problems: readonly Problem[];
  /** Others can change it. It was not read where that is refused. */
  readonly flaws: readonly Flaw[];
}

/**
 * The files that are, or are meant to be, playbooks, by name.
 *
 * @throws CliError `not-found` where there is no such folder; `local-state` where it cannot be read.
 */
export async function playbookFiles(folder: string): Promise<PlaybookFile[]> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (isMissing(error)) throw new CliError("not-found", `there is no folder ${folder}`, { cause: error });
    throw new CliError("local-state", `the folder ${folder} cannot be read: ${messageOf(error)}`, { cause: error });
  });
  return names
    .filter((name) => name.endsWith(ENDING) && !name.startsWith(".") && !NO_PLAYBOOK.test(name))
    .toSorted()
    .map((name) => ({ name: name.slice(0, -ENDING.length), path: join(folder, name) }));
}

/** Every playbook of a folder, good or bad. @throws CliError as {@link playbookFiles}; `local-state` where others can change the folder */
export async function readPlaybooks(folder: string): Promise<ReadFile[]> {
  const files = await playbookFiles(folder);
  assertTrusted(folder, "parent");
  const read: ReadFile[] = [];
  for (const file of files) read.push(await readPlaybook(file));
  return read;
}

/**
 * The playbook of this name.
 *
 * @param onFlaw told what the user should know about who else may change it.
 * @throws CliError `usage` where there is none of this name in good order; `not-found`; `local-state` where others can change it.
 */
export async function findPlaybook(folder: string, name: string, onFlaw: (flaw: Flaw) => void): Promise<Playbook> {
  if (!PLAYBOOK_NAME.test(name)) {
    throw new CliError("usage", `"${name}" is not the name of a playbook`, { hint: NAME_WORDS });
  }
  const files = await playbookFiles(folder);
  const file = files.find((one) => one.name === name);
  if (!file) {
    throw new CliError("not-found", `there is no playbook "${name}" in ${folder}`, {
      hint: hint`see what there is: ${command("playbooks list")}`,
    });
  }
  const { playbook, problems, flaws } = await readPlaybook(file);
  const refused = flaws.find((flaw) => flaw.refused);
  if (refused) throw untrusted(refused);
  for (const flaw of flaws) onFlaw(flaw);
  if (playbook) return playbook;
  const words = problems.map((problem) => `${file.path}, ${problemWords(problem)}`);
  throw new CliError("usage", `playbook "${name}" cannot be used: ${words[0]}`, { hint: words.slice(1) });
}

async function readPlaybook(file: PlaybookFile): Promise<ReadFile> {
  const bad = (reason: string, flaws: readonly Flaw[] = []): ReadFile => {
    return { ...file, playbook: undefined, problems: [{ line: null, reason }], flaws };
  };
  if (!PLAYBOOK_NAME.test(file.name)) return bad(`rename it: ${NAME_WORDS}`);
  const flaws = flawsOnTheWay(file.path, "settings");
  const refused = flaws.find((flaw) => flaw.refused);
  if (refused) return bad(untrusted(refused).message, flaws);
  try {
    const bytes = await readRegularFile(file.path);
    const { parsePlaybook } = await import("./parse.ts");
    const parsed = parsePlaybook(file.name, bytes);
    if ("playbook" in parsed) return { ...file, playbook: parsed.playbook, problems: [], flaws };
    return { ...file, playbook: undefined, problems: parsed.problems, flaws };
  } catch (error) {
    if (error instanceof CliError) return bad(error.message, flaws);
    throw error;
  }
}

/** @throws CliError `local-state` */
async function readRegularFile(given: string): Promise<Buffer> {
  try {
    const path = await realpath(given);
    // Opening anything else may block, or do something.
    if ((await systemFiles.facts(path)).kind !== "file") throw unusable("it is not a regular file");
    const opened = await systemFiles.open(path, "read");
    try {
      const { kind, owner: uid, group: gid, mode } = await opened.facts();
      const flaw = flawOf(path, { uid, gid, mode }, "settings");
      if (kind !== "file" || flaw?.refused === true) throw unusable("it was replaced while it was read");
      const bytes = Buffer.alloc(MAX_BYTES + 1);
      let length = 0;
      for (let read = -1; read !== 0 && length < bytes.length; length += read) {
        read = await opened.read(bytes.subarray(length), length);
      }
      if (length > MAX_BYTES) throw unusable(`it is longer than ${MAX_BYTES / 1024} KiB`);
      return bytes.subarray(0, length);
    } finally {
      await opened.close();
    }
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw unusable(isMissing(error) ? "its link leads nowhere" : `it cannot be read: ${messageOf(error)}`, error);
  }
}

/** @param why in words to be read behind the file's name. */
function unusable(why: string, cause?: unknown): CliError {
  return new CliError("local-state", why, { cause });
}
