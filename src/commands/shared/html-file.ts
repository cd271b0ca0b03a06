/** `--html FILE`: where a page for a browser goes. */
import { access } from "node:fs/promises";
import { resolve } from "node:path";
import type { Context } from "../../context.ts";
import { CliError } from "../../errors.ts";
import { writeWholeFile } from "../../files/whole-file.ts";

export interface HtmlOptions {
  readonly html?: string | undefined;
  readonly force?: true | undefined;
}

/** Where a page goes. */
export type HtmlTarget = { readonly path: string } | "standard output";

/**
 * Where the page goes that the options name; looked at before anything is read, so that nobody waits for a refusal.
 *
 * @returns `undefined` where no page was asked for.
 * @throws CliError `usage`
 */
export async function htmlTarget(
  { host }: Pick<Context, "host">,
  { html, force }: HtmlOptions,
): Promise<HtmlTarget | undefined> {
  if (html === undefined) {
    if (force) throw new CliError("usage", "--force needs --html FILE");
    return undefined;
  }
  if (html === "-") {
    if (!host.stdout.isTTY) return "standard output";
    throw new CliError("usage", "an HTML page is not printed to a terminal", {
      hint: "redirect it, or name a file: --html FILE",
    });
  }
  const path = resolve(host.cwd, html);
  const exists = await access(path).then(
    () => true,
    () => false,
  );
  if (!exists || force) return { path };
  throw new CliError("usage", `${path} exists already, and was left as it is`, {
    hint: "name another file, or replace it: --force",
  });
}

/**
 * Writes a page where it goes: to a file for its owner's eyes only, because customers' addresses are in it.
 *
 * @param what is in it, in words.
 * @throws CliError `local-state`
 */
export async function writeHtml(
  { output, closed }: Context,
  target: HtmlTarget,
  pieces: Iterable<string>,
  what: string,
): Promise<void> {
  if (target !== "standard output") {
    await writeWholeFile(target.path, [...pieces].join(""));
    return output.success(`wrote ${what} to ${target.path}`);
  }
  for (const piece of pieces) {
    if (closed.aborted) return;
    output.raw(piece);
  }
}
