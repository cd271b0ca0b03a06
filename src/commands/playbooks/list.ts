import type { Command } from "@commander-js/extra-typings";
import type { Context, OpenContext } from "../../context.ts";
import { readPlaybooks, type ReadFile } from "../../playbooks/folder.ts";
import { problemWords } from "../../playbooks/playbook.ts";
import type { Prints, View } from "../../terminal/rows.ts";
import { command as typed, hint, plain } from "../../typed-command.ts";
import { examples } from "../shared/options.ts";
import { PLAYBOOK_FIELDS, playbooksFolder, sayFlaws, shownPlaybook, type ShownPlaybook } from "../shared/playbook.ts";

export function configure(command: Command, open: OpenContext): void {
  command
    .addHelpText(
      "after",
      examples("kiloclaw-admin playbooks list", "kiloclaw-admin playbooks list --json --profile eu") +
        "\n\nThe playbooks of the profile's folder: config set playbooks DIR. Files that cannot be used are shown, too.",
    )
    .action(async () => list(await open()));
}

export const prints = (): Prints => [{ view: playbookView }];

async function list(context: Context): Promise<void> {
  const { output } = context;
  output.expect(playbookView);
  const folder = await playbooksFolder(context);
  const files = await readPlaybooks(folder);
  sayFlaws(output, files);
  await output.list(files.map(listed), playbookView, `there are no playbooks in ${folder}`);
  const bad = files.filter(({ playbook }) => !playbook).length;
  if (bad > 0) {
    const words = bad === 1 ? "1 playbook cannot be used" : `${bad} playbooks cannot be used`;
    output.warn(hint`${plain(words)}; see each problem: ${typed("playbooks check")}`);
  }
}

function listed({ name, path, playbook, problems: [problem] }: ReadFile): ShownPlaybook {
  if (playbook) return shownPlaybook(playbook, path);
  const unknown = { title: null, description: null, requiresTicket: null, concurrency: null, canary: null };
  return { name, path, ...unknown, fields: null, sha256: null, problem: problem ? problemWords(problem) : "" };
}

const playbookView: View<ShownPlaybook> = {
  shape: "playbook",
  fields: PLAYBOOK_FIELDS,
  id: ({ name }) => name,
  columns: () => [
    { header: "PLAYBOOK", rank: 0, value: ({ name }) => name },
    {
      header: "TITLE",
      rank: 1,
      shrinkTo: 20,
      enough: 40,
      tells: true,
      value: ({ title, problem }) => title ?? `cannot be used: ${problem}`,
      color: ({ problem }) => (problem === null ? undefined : "red"),
    },
    {
      header: "FIELDS",
      rank: 2,
      shrinkTo: 12,
      value: ({ fields }) => fields?.map(({ name }) => name).join(" ") || "-",
    },
    { header: "TICKET", rank: 3, value: ({ requiresTicket }) => (requiresTicket === true ? "required" : "-") },
    { header: "LIMITS", rank: 4, value: limitsWords },
  ],
};

function limitsWords({ concurrency, canary }: ShownPlaybook): string {
  const words = [
    ...(concurrency === null ? [] : [`${concurrency} at a time`]),
    ...(canary === null ? [] : [`canary ${canary}`]),
  ];
  return words.join(", ") || "-";
}
