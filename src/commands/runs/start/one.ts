import type { Context } from "../../../context.ts";
import { resolveInstance, resolveUser } from "../../../customers/find.ts";
import { runView } from "../../shared/run-view.ts";
import { whyOf } from "../../shared/ticket-and-reason.ts";
import { unlessStartedSinceOf, type GivenTime } from "../../shared/when.ts";
import { chosenPlaybook, type ChosenPlaybook, type PlaybookOptions } from "./playbook.ts";
import { askForPrompt, readPrompt, type PromptSources } from "./prompt.ts";
import { assertForOne, dryRun, prepare, sendStart, type SendOptions } from "./send.ts";

export interface StartOneOptions extends SendOptions, PromptSources, PlaybookOptions {
  readonly user: string;
  readonly instance?: string | undefined;
  readonly dryRun?: true | undefined;
  readonly unlessStartedSince?: GivenTime | undefined;
}

/**
 * Starts one run, on the instance of one user.
 *
 * @throws CliError that says exactly as much as can be known of the start.
 */
export async function startOne(context: Context, options: StartOneOptions): Promise<void> {
  const { output, prompter } = context;
  output.expect(runView);
  assertForOne(context, options);
  const playbook = await chosenPlaybook(context, options);
  const given = playbook ? promptFor(playbook, options.user) : await readPrompt(context, options);
  const api = await context.api();
  const [subject, me] = await Promise.all([
    resolveUser(api, options.user, context.choose),
    context.me(),
    prepare(context, options),
  ]);
  const unlessStartedSince = await unlessStartedSinceOf(context, options.unlessStartedSince);
  const instance = await resolveInstance(api, subject, options.instance, {
    named: options.user,
    choose: context.choose,
  });
  const who = subject.email ?? subject.userId;
  const prompt = given ?? (await askForPrompt(context, options));
  if (given === undefined) {
    output.note(`the prompt, ${prompt.length} characters:`);
    output.quote(prompt);
  }
  const [field] = playbook ? [] : (/\{\{\s*[\w.-]+\s*\}\}/.exec(prompt) ?? []);
  if (field !== undefined) {
    output.warn(`${field} is sent as it stands: fields are filled in for several targets, from --users-file`);
  }
  if (options.dryRun) return dryRun(context, who, instance, prompt);
  const platform = await context.platform();
  const always = platform.confirm === "always";
  if (always || given === undefined) {
    const within = instance.organizationId === null ? "" : ` in organization ${instance.organizationId}`;
    const question = `Start a recovery run on instance ${instance.id} of ${who}${within}?`;
    await prompter.confirm(question, { yes: options.yes ?? false, platform, plain: !always });
  }
  const facts = playbook?.facts;
  const request = { userId: subject.userId, userEmail: subject.email, instance, prompt, admin: me, playbook: facts };
  const ledger = await context.ledger("start", await whyOf(context, options, facts));
  await sendStart(context, request, ledger, { ...options, unlessStartedSince });
}

/** The playbook's prompt for one customer. @throws CliError `usage` */
function promptFor({ template, fillIn }: ChosenPlaybook, user: string): string {
  const [entry] = fillIn([{ named: user, instance: null, line: null, fields: {} }], []);
  if (!entry) throw new Error("an entry was lost");
  template.check([entry], []);
  return template.render(entry);
}
