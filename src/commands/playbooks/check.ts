import { resolve } from "node:path";
import type { Command } from "@commander-js/extra-typings";
import type { Context, OpenContext } from "../../context.ts";
import { CliError } from "../../errors.ts";
import { readPlaybooks } from "../../playbooks/folder.ts";
import type { Prints, View } from "../../terminal/rows.ts";
import { examples } from "../shared/options.ts";
import { playbooksFolder, sayFlaws } from "../shared/playbook.ts";

/** A problem, or a file without any. The names are the JSON output's: a public interface. */
interface Checked {
  readonly path: string;
  readonly name: string;
  readonly line: number | null;
  readonly problem: string | null;
}

export function configure(command: Command, open: OpenContext): void {
  command
    .argument("[dir]", "the folder; the profile's unless told")
    .addHelpText(
      "after",
      examples("kiloclaw-admin playbooks check", "kiloclaw-admin playbooks check . -o jsonl") +
        "\n\nExits with 2 where a file cannot be used. Asks no platform, and needs no profile where a folder is named: for the CI of a\n" +
        "team's repository.",
    )
    .action(async (dir) => check(await open(), dir));
}

export const prints = (): Prints => [{ view: checkView }];

async function check(context: Context, dir: string | undefined): Promise<void> {
  const { host, output } = context;
  output.expect(checkView);
  const folder = dir === undefined ? await playbooksFolder(context) : resolve(host.cwd, dir);
  const files = await readPlaybooks(folder);
  sayFlaws(output, files);
  const checked = files.flatMap(({ name, path, problems }): Checked[] =>
    problems.length === 0
      ? [{ path, name, line: null, problem: null }]
      : problems.map(({ line, reason }) => ({ path, name, line, problem: reason })),
  );
  await output.list(checked, checkView, `there are no playbooks in ${folder}`);
  const bad = files.filter(({ problems }) => problems.length > 0).length;
  if (bad > 0) {
    throw new CliError(
      "usage",
      `${bad} of ${files.length === 1 ? "1 playbook" : `${files.length} playbooks`} cannot be used`,
    );
  }
}

const checkView: View<Checked> = {
  shape: "playbook-check",
  fields: ["path", "name", "line", "problem"] as const satisfies readonly (keyof Checked)[],
  id: ({ name }) => name,
  columns: () => [
    { header: "FILE", rank: 0, value: ({ path }) => path },
    { header: "LINE", rank: 2, value: ({ line }) => (line === null ? "-" : String(line)) },
    {
      header: "PROBLEM",
      rank: 1,
      shrinkTo: 20,
      tells: true,
      value: ({ problem }) => problem ?? "none",
      color: ({ problem }) => (problem === null ? "green" : "red"),
    },
  ],
};
