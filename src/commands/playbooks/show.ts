import { join } from "node:path";
import type { Command } from "@commander-js/extra-typings";
import type { Context, OpenContext } from "../../context.ts";
import { findPlaybook } from "../../playbooks/folder.ts";
import type { Field } from "../../playbooks/playbook.ts";
import type { Detail, Prints, View } from "../../terminal/rows.ts";
import { promptDetails } from "../shared/job/prompt-view.ts";
import { examples } from "../shared/options.ts";
import { PLAYBOOK_FIELDS, playbooksFolder, sayFlaw, shownPlaybook, type ShownPlaybook } from "../shared/playbook.ts";

export function configure(command: Command, open: OpenContext): void {
  command
    .argument("<playbook>", "its name")
    .addHelpText(
      "after",
      examples("kiloclaw-admin playbooks show restart-gateway", "kiloclaw-admin playbooks show restart-gateway --json"),
    )
    .action(async (name) => show(await open(), name));
}

export const prints = (): Prints => [{ view: detailsView }];

async function show(context: Context, name: string): Promise<void> {
  const { output } = context;
  output.expect(detailsView);
  const folder = await playbooksFolder(context);
  const playbook = await findPlaybook(folder, name, (flaw) => sayFlaw(output, flaw));
  const prompt = playbook.template.text;
  await output.item({ ...shownPlaybook(playbook, join(folder, `${name}.md`)), prompt }, detailsView);
}

interface PlaybookDetails extends ShownPlaybook {
  readonly prompt: string;
}

const detailsView: View<PlaybookDetails> = {
  shape: "playbook-details",
  fields: [...PLAYBOOK_FIELDS, "prompt"] as const satisfies readonly (keyof PlaybookDetails)[],
  id: ({ name }) => name,
  details: ({ name, title, description, requiresTicket, concurrency, canary, fields, path, sha256, prompt }) => [
    { label: "playbook", value: name },
    { label: "title", value: title ?? "-" },
    ...(description === null ? [] : [{ label: "description", value: description }]),
    { label: "ticket", value: requiresTicket === true ? "required" : "-" },
    ...(concurrency === null ? [] : [{ label: "concurrency", value: `at most ${concurrency}` }]),
    ...(canary === null ? [] : [{ label: "canary", value: `at least ${canary}` }]),
    { label: "file", value: path },
    { label: "SHA-256", value: sha256 ?? "-" },
    ...(fields ?? []).map(fieldDetail),
    ...promptDetails({ prompt, example: null }),
  ],
};

function fieldDetail({ name, description, pattern, default: preset }: Field): Detail {
  const words = [
    ...(description === null ? [] : [description]),
    ...(pattern === null ? [] : [`matches ${pattern}`]),
    preset === null ? "has to be given" : `default: ${preset}`,
  ];
  return { label: `{{${name}}}`, value: words.join("; ") };
}
