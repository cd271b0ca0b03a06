import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { addAbortSignal } from "node:stream";
import { text as readAll } from "node:stream/consumers";
import { Option, type Command } from "@commander-js/extra-typings";
import type { Context, OpenContext } from "../context.ts";
import type { Procedure } from "../contract/procedures.ts";
import { CliError, messageOf } from "../errors.ts";
import { jsonError } from "../json.ts";
import type { Prints } from "../terminal/rows.ts";
import { command, hint, type Said } from "../typed-command.ts";
import { mutateOnRecord } from "./api/on-record.ts";
import { procedureNamed } from "./api/procedure.ts";
import { withoutSecrets } from "./api/secrets.ts";
import { examples, once, yesOption } from "./shared/options.ts";
import { whyOf, whyOptions, type WhyOptions } from "./shared/ticket-and-reason.ts";

interface ApiOptions extends WhyOptions {
  readonly input?: string | undefined;
  readonly mutate?: true | undefined;
  readonly yes?: true | undefined;
}

export function configure(command: Command, open: OpenContext): void {
  const named = command
    .argument("<procedure>", "the platform's name for it, with dots")
    .addOption(new Option("--input <json>", "what it is called with; - reads standard input").argParser(once))
    .option("--mutate", "call one that changes something: sent once, after a question, on record");
  whyOptions(named)
    .addOption(yesOption())
    .addHelpText(
      "after",
      examples(
        `kiloclaw-admin api admin.kiloclawInstances.list --input '{"limit": 5}' --jq '.instances[].id'`,
        `kiloclaw-admin api admin.kiloclawInstances.get --input '{"id": "d0000000-0000-4000-8000-000000000027"}'`,
        "kiloclaw-admin api PROCEDURE --mutate --input - --ticket INC-42 < input.json",
      ) +
        "\n\nPrints the answer as JSON. Secrets in it are left out. It starts and cancels no run: use runs start and runs cancel.",
    )
    .action(async (procedure, options) => api(await open(), procedure, options));
}

/** What a procedure answers is the platform's. */
export const prints = (): Prints => [];

async function api(context: Context, name: string, options: ApiOptions): Promise<void> {
  const { output } = context;
  const { mutate = false, ticket, reason, yes } = options;
  output.expectDocument();
  const procedure = procedureNamed(name, { mutate });
  if (!mutate && (ticket !== undefined || reason !== undefined || yes)) {
    throw new CliError("usage", "--ticket, --reason and --yes are for --mutate: a query changes nothing");
  }
  const input = await inputOf(context, procedure, options.input);
  const answer = isMutation(procedure)
    ? await change(context, procedure, input, options)
    : await ask(context, procedure, input);
  output.document(withoutSecrets(answer));
}

function isMutation(procedure: Procedure): procedure is Procedure & { readonly kind: "mutation" } {
  return procedure.kind === "mutation";
}

async function ask(context: Pick<Context, "api">, { path, input: shape, output }: Procedure, input: unknown) {
  const platform = await context.api();
  return platform.query({ path, kind: "query", input: shape, output }, input);
}

async function change(
  context: Context,
  procedure: Procedure & { readonly kind: "mutation" },
  input: unknown,
  options: ApiOptions,
): Promise<unknown> {
  const { output, prompter, stop } = context;
  const platform = await context.api();
  const why = await whyOf(context, options);
  const meant = await context.platform();
  output.notes(
    [
      { label: "call", value: procedure.path },
      { label: "input", value: input === undefined ? "-" : JSON.stringify(input) },
      { label: "platform", value: meant.origin },
    ],
    { needed: !options.yes },
  );
  await prompter.confirm("Call it? It is sent once.", { yes: options.yes ?? false, platform: meant });
  const ledger = await context.ledger("api", why);
  return mutateOnRecord(platform, procedure, input, {
    ledger,
    stop,
    onUnrecorded: (error) => output.warn(`${messageOf(error)}; the call is on record, but not what became of it`),
  });
}

/**
 * What the procedure is called with.
 *
 * @throws CliError `usage` where it is no JSON, or not what the procedure takes.
 */
async function inputOf(
  { host }: Pick<Context, "host">,
  procedure: Procedure,
  given: string | undefined,
): Promise<unknown> {
  if (given === undefined) return checked(procedure, undefined);
  const text = given === "-" ? await readAll(addAbortSignal(host.stop, host.stdin)) : given;
  const wrong = jsonError(text);
  if (wrong === undefined) return checked(procedure, JSON.parse(text));
  const where = given === "-" ? "standard input (--input -)" : "--input";
  throw new CliError("usage", `${where} is not JSON: ${wrong}; nothing was sent`, {
    hint: await inputHint(resolve(host.cwd, given), given, procedure),
  });
}

async function inputHint(path: string, given: string, { path: name, kind }: Procedure): Promise<Said> {
  const called = command("api", name, { "--mutate": kind === "mutation" || undefined, "--input": "-" });
  const isFile = await stat(path).then(
    (facts) => facts.isFile(),
    () => false,
  );
  if (isFile) return hint`to send what is in the file: ${called} < ${given}`;
  if (given === "-") return hint`fix it, then: ${called} < FILE`;
  return `quote the whole of it for the shell: --input '{"limit": 5}'`;
}

function checked({ path, input: shape }: Procedure, input: unknown): unknown {
  const parsed = shape.safeParse(input);
  if (parsed.success) return input;
  const [issue] = parsed.error.issues;
  const where = issue?.path.length ? `.${issue.path.join(".")}` : "the whole";
  throw new CliError("usage", `${path} does not take this input: ${where}: ${issue?.message}; nothing was sent`);
}
