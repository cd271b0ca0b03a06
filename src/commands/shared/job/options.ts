/** The options that say how a job is done, the same wherever one is begun or resumed. */
import { InvalidArgumentError, Option, type Command, type OptionValues } from "@commander-js/extra-typings";
import {
  formatLimit,
  ON_CONFLICT,
  parseLimit,
  type ErrorLimit,
  type JobPlaybook,
  type JobSettings,
  type OnConflict,
} from "../../../bulk/job/settings.ts";
import { CliError } from "../../../errors.ts";
import { onEndOption } from "../on-end.ts";
import { duration, timeoutOption, wholeNumber } from "../options.ts";
import type { GivenTime } from "../when.ts";

export interface JobOptions {
  readonly concurrency?: number | undefined;
  readonly rate?: number | undefined;
  readonly maxRunning?: number | undefined;
  readonly canary?: number | undefined;
  readonly canaryPause?: true | undefined;
  readonly maxErrors?: ErrorLimit | undefined;
  readonly onConflict?: OnConflict | undefined;
  readonly wait?: true | undefined;
  readonly detach?: true | undefined;
  /** Of each run. */
  readonly timeout?: number | undefined;
  /** Of the whole job. */
  readonly jobTimeout?: number | undefined;
  readonly resendUnknown?: true | undefined;
  readonly unlessStartedSince?: GivenTime | undefined;
  readonly onEnd?: string | undefined;
}

/** Starts under way at a time, unless told. */
const CONCURRENCY = 8;

/** So many starts a second, or so many a minute or an hour: `5`, `5/s`, `30/m`. */
function rate(text: string): number {
  const [, number, unit = "s"] = /^(\d+(?:\.\d+)?)(?:\/([smh]))?$/.exec(text.trim()) ?? [];
  const seconds = { s: 1, m: 60, h: 3_600 }[unit];
  if (number !== undefined && seconds !== undefined && Number(number) > 0) return Number(number) / seconds;
  throw new InvalidArgumentError("Give a number of starts a second, such as 5/s, or 30/m.");
}

function errorLimit(text: string): ErrorLimit {
  const limit = parseLimit(text);
  if (limit) return limit;
  throw new InvalidArgumentError("Give a number of targets or a part of them, such as 5 or 2%.");
}

/**
 * The command with the options that say how a job is done, wherever one is begun or resumed: of {@link JobOptions} all but those of
 * {@link canaryOptions} and {@link startOptions}.
 */
export function jobOptions<Args extends unknown[], Options extends OptionValues>(command: Command<Args, Options>) {
  return command
    .addOption(
      new Option("--concurrency <n>", `starts under way at a time, at most (default: ${CONCURRENCY})`).argParser(
        wholeNumber(1, 256),
      ),
    )
    .addOption(new Option("--rate <n>", "starts a second at most: 5/s, 30/m").argParser(rate))
    .addOption(
      new Option("--max-running <n>", "runs in progress at a time, at most").argParser(wholeNumber(1, 100_000)),
    )
    .addOption(
      new Option("--max-errors <n>", "stop starting after more than this many errors: 5, or 2%").argParser(errorLimit),
    )
    .option("--wait", "follow every run to its end (default on a terminal)")
    .addOption(new Option("--detach", "start the runs only (default elsewhere)").conflicts("wait"))
    .addOption(
      new Option("--job-timeout <time>", "stop starting and watching after this long; runs go on").argParser(duration),
    );
}

/** The command with the options that try a job out first: where one is begun. */
export function canaryOptions<Args extends unknown[], Options extends OptionValues>(command: Command<Args, Options>) {
  return command
    .addOption(
      new Option("--canary <n>", "start this many first, and continue only if their runs complete").argParser(
        wholeNumber(1, 10_000),
      ),
    )
    .option("--canary-pause", "with --canary: ask before continuing, too");
}

/** The command with the options that say how each start and its run are treated, one or many; `skip` is for several targets only. */
export function startOptions<Args extends unknown[], Options extends OptionValues>(command: Command<Args, Options>) {
  return command
    .addOption(
      new Option(
        "--on-conflict <what>",
        "a run is in progress: fail, attach to it, wait for its end; or skip the target (of several)",
      ).choices(ON_CONFLICT),
    )
    .addOption(timeoutOption())
    .addOption(onEndOption())
    .option("--resend-unknown", "start although an earlier start on the instance may have happened");
}

/**
 * How a job is to be done, by its options.
 *
 * @param isTerminal a person looks at it.
 * @param before how it was done before, where it is gone on with.
 * @param playbook what its prompt comes from: its limits hold.
 * @throws CliError `usage`
 */
export function jobSettings(
  options: JobOptions,
  isTerminal: boolean,
  before?: JobSettings,
  playbook: JobPlaybook | null = before?.playbook ?? null,
): JobSettings {
  const { rate: perSecond, maxRunning, canaryPause, maxErrors, onConflict, timeout } = options;
  if (playbook) assertWithin(playbook, options);
  const canary = options.canary ?? playbook?.canary ?? null;
  if (canaryPause && canary === null) {
    throw new CliError("usage", "--canary-pause needs --canary N");
  }
  const wait = options.wait ? true : options.detach ? false : (before?.wait ?? isTerminal);
  if (options.onEnd !== undefined && !wait) {
    throw new CliError("usage", "--on-end needs --wait: a run's end is seen only while it is watched");
  }
  return {
    concurrency:
      options.concurrency ?? before?.concurrency ?? Math.min(CONCURRENCY, playbook?.concurrency ?? CONCURRENCY),
    rate: perSecond ?? before?.rate ?? null,
    maxRunning: maxRunning ?? before?.maxRunning ?? null,
    canary,
    maxErrors: maxErrors ?? before?.maxErrors ?? null,
    onConflict: onConflict ?? before?.onConflict ?? "skip",
    wait,
    runTimeoutMs: timeout ?? before?.runTimeoutMs ?? null,
    unlessStartedSince: before?.unlessStartedSince ?? null,
    playbook,
  };
}

/** @throws CliError `usage` where an option goes beyond what the playbook allows. */
function assertWithin({ name, ...limits }: JobPlaybook, { concurrency, canary }: JobOptions): void {
  if (concurrency !== undefined && limits.concurrency !== null && concurrency > limits.concurrency) {
    const most = `at most ${limits.concurrency}`;
    throw new CliError(
      "usage",
      `--concurrency ${concurrency} is more than playbook "${name}" allows: ${most}; nothing was sent`,
    );
  }
  if (canary !== undefined && limits.canary !== null && canary < limits.canary) {
    const least = `at least ${limits.canary}`;
    throw new CliError(
      "usage",
      `--canary ${canary} is less than playbook "${name}" requires: ${least}; nothing was sent`,
    );
  }
}

/** The settings that are not as they usually are, as they are typed. */
export function settingsWords(settings: JobSettings): string {
  const {
    concurrency,
    rate: perSecond,
    maxRunning,
    canary,
    maxErrors,
    onConflict,
    wait,
    unlessStartedSince,
  } = settings;
  return [
    `${concurrency} at a time`,
    ...(perSecond === null ? [] : [`at most ${Number(perSecond.toFixed(2))} a second`]),
    ...(maxRunning === null ? [] : [`at most ${maxRunning} in progress`]),
    ...(canary === null ? [] : [`a canary of ${canary} first`]),
    ...(maxErrors === null ? [] : [`stopping after more than ${formatLimit(maxErrors)} errors`]),
    `where a run is in progress: ${onConflict}`,
    ...(unlessStartedSince === null ? [] : [`none where this prompt was started since ${unlessStartedSince}`]),
    wait ? "following each to its end" : "starting only",
  ].join(", ");
}
