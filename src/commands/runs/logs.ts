import { readFile, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { Option, type Command } from "@commander-js/extra-typings";
import type { Context } from "../../context.ts";
import { CliError, messageOf } from "../../errors.ts";
import type { OpenContext } from "../../program.ts";
import { resolveRuns, resolveUser } from "../../runs/resolve.ts";
import { RUN_FIELDS, type Run } from "../../runs/run.ts";
import { pollRun } from "../../runs/settle.ts";
import { refuseIfMachineIsDown } from "../../runs/watch.ts";
import type { View } from "../../terminal/output.ts";
import { examples, intervalOption, timeoutOption, userOption, wholeNumber } from "../options.ts";
import { followRun, type FollowOptions } from "./follow.ts";
import { runView } from "./view.ts";

interface LogsOptions extends FollowOptions {
  readonly user?: string | undefined;
  readonly follow?: true | undefined;
  readonly tail?: number | undefined;
  readonly save?: string | undefined;
  readonly raw?: true | undefined;
}

export function configure(command: Command, open: OpenContext): void {
  command
    .argument("<run>", "run ID, a unique beginning of it, or @latest with --user")
    .addOption(userOption())
    .addOption(
      new Option("-f, --follow", "go on as the output grows, to the run's end").conflicts(["tail", "save", "raw"]),
    )
    .addOption(new Option("-t, --tail <n>", "only the last n lines").argParser(wholeNumber(0, 10_000_000)))
    .option("--save <file>", "write the exact output to a file")
    .option("--raw", "print the exact output; not on a terminal")
    .addOption(intervalOption())
    .addOption(timeoutOption())
    .addHelpText(
      "after",
      examples(
        "kiloclaw-admin runs logs 3f2a91c4",
        "kiloclaw-admin runs logs 3f2a91c4 --tail 20",
        "kiloclaw-admin runs logs @latest --user jane@example.com --save run.log",
      ),
    )
    .action(async (id, options) => logs(await open(), id, options));
}

async function logs(context: Context, id: string, options: LogsOptions): Promise<void> {
  const { output, host } = context;
  if (options.raw && host.stdout.isTTY) {
    throw new CliError("usage", "--raw could drive this terminal; the output comes from the customer's machine", {
      hint: "redirect it, use --save FILE, or leave --raw out",
    });
  }
  const api = await context.api();
  const subject = options.user === undefined ? undefined : await resolveUser(api, options.user);
  const [run] = await resolveRuns(api, [id], { subject });
  if (!run) return;
  if (options.follow && run.status === "running") {
    await followRun(context, run, options);
    return;
  }
  const text = lastLines(await outputOf(context, run), options.tail);
  if (options.save !== undefined) {
    const path = resolve(host.cwd, options.save);
    await save(path, text);
    output.success(`saved ${text.length} characters to ${path}`);
  } else if (options.raw) {
    output.raw(text);
  } else if (output.format === "table") {
    const stream = output.untrusted();
    stream.write(text);
    stream.end();
  } else {
    await output.item({ ...run, output: text }, logView);
  }
}

const logView: View<Run & { readonly output: string }> = { ...runView, fields: [...RUN_FIELDS, "output"] };

/** The run's output, from the machine while it runs, then from its row; a cancelled run's from this machine. */
async function outputOf(context: Context, run: Run): Promise<string> {
  const api = await context.api();
  if (run.status === "running") await refuseIfMachineIsDown(api, run);
  const { run: current, status } = await pollRun(api, run);
  if (status.output !== null) {
    if (current.outcomeUnknown)
      context.output.warn("the machine lost this run; what follows is the platform's own note");
    return status.output;
  }
  const { outputPath } = await import("../../journal/outputs.ts");
  const path = outputPath(context.paths.state, run.id);
  try {
    const kept = await readFile(path, "utf8");
    context.output.note(
      `the platform keeps no output of a cancelled run; this was kept here when it was cancelled: ${path}`,
    );
    return kept;
  } catch {
    throw new CliError("not-found", `there is no output of run ${run.id} (${current.status})`, {
      hint:
        current.status === "cancelled"
          ? "the platform keeps none of a cancelled run, and it was not cancelled from this machine"
          : "it has not written anything",
    });
  }
}

function lastLines(text: string, count: number | undefined): string {
  if (count === undefined) return text;
  if (count === 0) return "";
  let from = text.endsWith("\n") ? text.length - 1 : text.length;
  for (let lines = 0; lines < count && from > 0; lines++) from = text.lastIndexOf("\n", from - 1);
  return from <= 0 ? text : text.slice(from + 1);
}

async function save(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text, { mode: 0o600 });
  } catch (error) {
    throw new CliError("local-state", `cannot write ${path}: ${messageOf(error)}`, { cause: error });
  }
}
