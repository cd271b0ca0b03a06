import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CliError, messageOf } from "../errors.ts";
import type { Host } from "./host.ts";

/** The user's editor, as git and gh find it; a command line of any kind. */
function editorOf({ env, platform }: Pick<Host, "env" | "platform">): string {
  return env.VISUAL?.trim() || env.EDITOR?.trim() || (platform === "win32" ? "notepad" : "vi");
}

/**
 * Has the user edit a text in their editor, which gets the terminal meanwhile, and no token. The text is in a file of the user's own
 * that nobody else can read, and that is gone afterwards.
 *
 * @param name what the file is called: editors choose their ways by it.
 * @returns the text, `undefined` when the user left it as it was.
 * @throws CliError `usage` when the editor could not be run or failed; `local-state`
 */
export async function edit(host: Host, text: string, name: string): Promise<string | undefined> {
  const editor = editorOf(host);
  const folder = await mkdtemp(join(tmpdir(), "kiloclaw-admin-")).catch((error: unknown) => {
    throw new CliError("local-state", `cannot make a file to edit: ${messageOf(error)}`, { cause: error });
  });
  try {
    const path = join(folder, name);
    await writeFile(path, text, { mode: 0o600 });
    await host.lendTerminal(() => run(host, editor, path));
    const edited = await readFile(path, "utf8");
    return edited === text ? undefined : edited;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function run({ env, platform }: Host, editor: string, path: string): Promise<void> {
  const options = { stdio: "inherit", env: { ...env, KILOCLAW_ADMIN_TOKEN: undefined } } as const;
  const child =
    platform === "win32"
      ? spawn(`${editor} "${path}"`, { ...options, shell: true })
      : spawn("/bin/sh", ["-c", `${editor} "$1"`, editor, path], options);
  return new Promise((resolve, reject) => {
    const failed = (why: string) =>
      reject(
        new CliError("usage", `the editor (${editor}) ${why}; nothing was sent`, {
          hint: "name another: export VISUAL=EDITOR, or give the prompt with --prompt-file FILE",
        }),
      );
    child.once("error", (error) => failed(`could not be run: ${error.message}`));
    child.once("close", (code, signal) =>
      code === 0 ? resolve() : failed(`ended with ${signal ?? `exit code ${code}`}`),
    );
  });
}
