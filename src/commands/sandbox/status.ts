import type { Command } from "@commander-js/extra-typings";
import type * as z from "zod";
import type { Context, OpenContext } from "../../context.ts";
import { readIdentity } from "../../files/sandbox-identity.ts";
import type { sandboxShape } from "../../shapes/setup.ts";
import type { Prints, View } from "../../terminal/rows.ts";
import { hint } from "../../typed-command.ts";
import { examples } from "../shared/options.ts";
import {
  dataDirOption,
  meantDataDir,
  orderly,
  SANDBOX_PROFILE,
  sandboxCommand,
  type DataDirOptions,
  type SandboxContext,
} from "./shared.ts";

type SandboxState = Readonly<z.output<typeof sandboxShape>>;

export function configure(command: Command, open: OpenContext): void {
  command
    .addOption(dataDirOption())
    .addHelpText(
      "after",
      examples("kiloclaw-admin sandbox status", "kiloclaw-admin sandbox status --json --fields running,url"),
    )
    .action(async (options) => status(await open(), options));
}

export const prints = (): Prints => [{ view: stateView }];

async function status(context: SandboxContext & Pick<Context, "output">, options: DataDirOptions): Promise<void> {
  const { findSandbox } = await import("../../sandbox/remote.ts");
  const dataDir = await meantDataDir(context, options);
  const sandbox = await orderly(findSandbox(dataDir));
  const found = sandbox ? await orderly(sandbox.status()) : undefined;
  const state: SandboxState = {
    running: found !== undefined,
    url: found?.url ?? null,
    pid: found?.pid ?? null,
    dataDir,
    profile: SANDBOX_PROFILE,
    database: found?.database ?? null,
    startedAt: found ? new Date(found.startedAt) : null,
    users: found?.users ?? null,
    instances: found?.instances ?? null,
    runs: found?.runs ?? null,
    id: found?.id ?? readIdentity(dataDir)?.id ?? null,
  };
  await context.output.item(state, stateView);
  if (!found) context.output.note(hint`start it: ${sandboxCommand("start", context, dataDir, { "--detach": true })}`);
}

const stateView: View<SandboxState> = {
  shape: "sandbox",
  fields: ["running", "url", "pid", "dataDir", "profile", "database", "startedAt", "users", "instances", "runs", "id"],
  id: ({ url }) => url ?? "-",
  details: (state, when) => [
    { label: "running", value: state.running ? "yes" : "no", color: state.running ? "green" : "yellow" },
    { label: "url", value: state.url ?? "-" },
    { label: "process", value: String(state.pid ?? "-") },
    { label: "id", value: state.id ?? "-" },
    { label: "data", value: state.dataDir },
    { label: "profile", value: state.profile },
    { label: "database", value: state.database ?? "-" },
    { label: "started", value: when(state.startedAt) },
    {
      label: "holds",
      value: `${state.users ?? "-"} users, ${state.instances ?? "-"} instances, ${state.runs ?? "-"} runs`,
    },
  ],
};
