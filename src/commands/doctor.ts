import type { Command } from "@commander-js/extra-typings";
import { readConfig, setConfigAside } from "../config/config-file.ts";
import type { Context, OpenContext } from "../context.ts";
import type { Result } from "../doctor/check.ts";
import { examine, type CheckResult } from "../doctor/examine.ts";
import { CliError } from "../errors.ts";
import type { Color } from "../terminal/paint.ts";
import type { Prints, View } from "../terminal/rows.ts";
import { rewritten } from "../typed-command.ts";
import { examples } from "./shared/options.ts";

/** The names are the JSON output's. */
type ShownResult = Omit<CheckResult, "remedy"> & { readonly remedy: string | null };

interface DoctorOptions {
  readonly fix?: boolean | undefined;
}

const MARKS: Readonly<Record<Result, readonly [Color, string]>> = {
  ok: ["green", "✓"],
  warn: ["yellow", "!"],
  fail: ["red", "✗"],
  skipped: ["dim", "-"],
};

export function configure(command: Command, open: OpenContext): void {
  command
    .option("--fix", "move a broken settings file aside")
    .addHelpText(
      "after",
      `
Checks the tool, its settings, your login, the way to the platform and the platform itself, one after the other, and says what to
type where something is wrong. Exit code 1 if a check fails. What it says holds no secret: paste it into a ticket.
${examples("kiloclaw-admin doctor", "kiloclaw-admin doctor --profile sandbox", "kiloclaw-admin doctor --json | jq '.[] | select(.result == \"fail\")'")}`,
    )
    .action(async (options) => doctor(await open(), options));
}

export const prints = (): Prints => [{ view: doctorView }];

async function doctor(context: Context, { fix = false }: DoctorOptions): Promise<void> {
  const { output } = context;
  output.expect(doctorView);
  await repairConfig(context, fix);
  const results: ShownResult[] = [];
  const show = output.format === "table" && !output.hasFields ? shownAsTheyCome(context) : () => undefined;
  const progress = await output.busy("checking");
  try {
    for await (const result of examine(context, ({ name }) => progress.show(`checking: ${words(name)}`))) {
      results.push({ ...result, remedy: result.remedy.map((said) => output.typed(said)).join("\n") || null });
      show(result);
    }
  } finally {
    progress.stop();
  }
  if (output.format !== "table" || output.hasFields) await output.list(results, doctorView, "");
  const failed = results.filter(({ result }) => result === "fail").map(({ name }) => words(name));
  if (failed.length > 0) {
    throw new CliError(
      "unhealthy",
      `${failed.length === 1 ? "a check" : `${failed.length} checks`} failed: ${failed.join(", ")}`,
    );
  }
  const warned = results.filter(({ result }) => result === "warn").map(({ name }) => words(name));
  if (warned.length > 0) output.note(`works, with warnings:  ${warned.join(", ")}`);
  else output.success("everything works");
}

/** A settings file that cannot be read stops every command. It is moved aside, never changed. */
async function repairConfig(
  { output, paths, prompter, rereadSettings }: Pick<Context, "output" | "paths" | "prompter" | "rereadSettings">,
  fix: boolean,
): Promise<void> {
  try {
    await readConfig(paths.config);
    if (fix) output.note("the settings file needs no repair");
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    const offer = async () => {
      if (output.format !== "table" || !prompter.canAsk) return false;
      output.warn(error.message);
      return prompter.offer("Move it aside and continue with the defaults?");
    };
    if (!fix && !(await offer())) return;
    output.success(`moved the broken settings file to ${await setConfigAside(paths.config, new Date())}`);
    rereadSettings();
  }
}

/** Shows each result under the heading of its stage. */
function shownAsTheyCome({ output }: Pick<Context, "output">): (result: CheckResult) => void {
  let heading: string | undefined;
  return ({ stage, name, result, found, remedy }) => {
    if (stage !== heading) output.line(stage);
    heading = stage;
    const remedies = remedy.map((said) => rewritten(said, (text) => `→ ${text}`));
    output.marked(MARKS[result], words(name).padEnd(NAME_WIDTH), found, remedies);
  };
}

const NAME_WIDTH = 20;

function words(name: string): string {
  return name.replaceAll("-", " ");
}

const doctorView: View<ShownResult> = {
  shape: "check",
  fields: ["stage", "name", "result", "found", "remedy"],
  id: ({ name }) => name,
};
