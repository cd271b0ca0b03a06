import { Argument, Option, type Command } from "@commander-js/extra-typings";
import type { Context, OpenContext } from "../../context.ts";
import { CliError } from "../../errors.ts";
import type { Fault, FaultName, FaultSpec } from "../../sandbox/control-api.ts";
import type { Prints, View } from "../../terminal/rows.ts";
import { command, hint } from "../../typed-command.ts";
import { duration, examples, once, wholeNumber } from "../shared/options.ts";
import { dataDirOption, orderly, runningSandbox, type DataDirOptions, type SandboxContext } from "./shared.ts";

interface FaultOptions extends DataDirOptions {
  readonly procedure?: string | undefined;
  readonly user?: string | undefined;
  readonly instance?: string | undefined;
  readonly count?: number | undefined;
  readonly delay?: number | undefined;
  readonly retryAfter?: number | undefined;
  readonly value?: string | undefined;
}

export async function configure(command: Command, open: OpenContext): Promise<void> {
  const { FAULTS, WORKER_ANSWERS } = await import("../../sandbox/control-api.ts");
  const names = Object.keys(FAULTS) as FaultName[];
  command
    .addArgument(new Argument("<action>", "what to do").choices(["list", "set", "clear"] as const))
    .addArgument(new Argument("[name]", "the fault to set").choices(names))
    .addOption(dataDirOption())
    .addOption(new Option("--procedure <name>", "only this call, such as startKiloCliRun").argParser(once))
    .addOption(new Option("--user <user>", "only calls about or from this user (e-mail or ID)").argParser(once))
    .addOption(new Option("--instance <id>", "only calls about this instance").argParser(once))
    .addOption(
      new Option("--count <n>", "how many times (default: until cleared)").argParser(wholeNumber(1, 1_000_000)),
    )
    .addOption(new Option("--delay <time>", "how long `hang` and `slow` last").argParser(delay))
    .addOption(new Option("--retry-after <seconds>", "the Retry-After of 429").argParser(wholeNumber(0, 86_400)))
    .addOption(
      new Option("--value <value>", `instance-status: the status; worker: ${WORKER_ANSWERS.join(", ")}`).argParser(
        once,
      ),
    )
    .addHelpText("after", () => {
      const width = Math.max(...names.map((name) => name.length));
      const faults = names.map((name) => `  ${name.padEnd(width)}  ${FAULTS[name]}`).join("\n");
      return `\nFaults:\n${faults}\n${examples(
        "kiloclaw-admin sandbox fault set lost-answer --procedure startKiloCliRun --count 1",
        "kiloclaw-admin sandbox fault set instance-status --value stopped --user jane@example.com",
        "kiloclaw-admin sandbox fault clear",
      )}`;
    })
    .action(async (action, name, options) => fault(await open(), action, name, options));
}

export const prints = (): Prints => [{ view: faultView }];

/** Milliseconds, or a length of time with its unit. */
function delay(text: string): number {
  return /^\d+$/.test(text) ? Number(text) : duration(text);
}

async function fault(
  context: SandboxContext & Pick<Context, "output">,
  action: "list" | "set" | "clear",
  name: FaultName | undefined,
  options: FaultOptions,
): Promise<void> {
  const { output } = context;
  if (action === "set" && name === undefined) {
    throw new CliError("usage", "say which fault to set", {
      hint: hint`see: ${command("sandbox fault", { "--help": true })}`,
    });
  }
  if (action !== "set" && name !== undefined) {
    throw new CliError("usage", `fault ${action} takes no fault's name; it is about all of them`);
  }
  const sandbox = await runningSandbox(context, options);
  if (action === "clear") {
    await orderly(sandbox.clearFaults());
    return output.success("all faults are cleared");
  }
  if (name !== undefined) await orderly(sandbox.setFault(specOf(name, options)), "usage");
  await output.list(await orderly(sandbox.listFaults()), faultView, "no faults are set");
}

function specOf(name: FaultName, options: FaultOptions): FaultSpec {
  const { procedure, user, instance, count, delay: delayMs, retryAfter, value } = options;
  return { name, procedure, user, instance, count, delayMs, retryAfter, value };
}

const faultView: View<Fault> = {
  shape: "sandbox-fault",
  fields: ["name", "procedure", "user", "instance", "count", "delayMs", "retryAfter", "value"],
  id: ({ name }) => name,
  columns: () => [
    { header: "FAULT", rank: 0, value: ({ name }) => name, color: () => "yellow" },
    { header: "CALL", rank: 1, value: ({ procedure }) => procedure ?? "every call" },
    { header: "USER", rank: 2, shrinkTo: 10, value: ({ user }) => user ?? "-" },
    { header: "INSTANCE", rank: 5, value: ({ instance }) => instance ?? "-" },
    {
      header: "LEFT",
      rank: 3,
      value: ({ count }) => (count === undefined || count === null ? "until cleared" : String(count)),
    },
    {
      header: "VALUE",
      rank: 4,
      value: ({ value, delayMs }) => value ?? (delayMs === undefined ? "-" : `${delayMs} ms`),
    },
  ],
};
