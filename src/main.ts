import { CliError } from "./errors.ts";
import { exitCodeOf } from "./exit-codes.ts";
import { createProgram } from "./program.ts";
import type { Host } from "./terminal/host.ts";
import { systemHost, type Launch } from "./terminal/system.ts";

/** Runs the command line on the real machine. */
export async function run({ argv, ...launch }: Launch & { argv: readonly string[] }): Promise<void> {
  const { host, leaveWith } = systemHost(launch);
  leaveWith(await main(argv, host));
}

/**
 * Runs one command. The only place that turns what went wrong into words and an exit code.
 *
 * @param argv the arguments, without the program's own name.
 * @returns the exit code, one of `EXIT_CODES`.
 */
export async function main(argv: readonly string[], host: Host): Promise<number> {
  const { parse, context } = createProgram(host);
  try {
    await parse(argv).finally(async () => (await context.opened())?.output.close());
    const opened = await context.opened();
    const code = opened?.endsWellOn(host.stop.reason) ? 0 : (stopCode(host) ?? 0);
    return code === 0 && opened?.output.incomplete ? exitCodeOf("unexpected") : code;
  } catch (error) {
    const code = stopCode(host);
    // What was under way was cut off by the stop; that is not an error of its own.
    const cutOff = host.stop.aborted && (!(error instanceof CliError) || error.kind === "interrupted");
    if (cutOff) return code ?? 0;
    const exitCode = code ?? exitCodeOf(error instanceof CliError ? error.kind : "unexpected");
    const { reportError } = await import("./terminal/error-report.ts");
    const opened = await context.opened();
    const explained = await opened?.explained(error).catch(() => undefined);
    reportError(host, explained ?? error, { argv, exitCode, output: opened?.output });
    return exitCode;
  } finally {
    await (await context.opened())?.close();
  }
}

/** The exit code for the signal that ended the command, if one did. */
function stopCode({ stop }: Host): number | undefined {
  switch (stop.aborted && stop.reason) {
    case "SIGINT":
      return exitCodeOf("interrupted");
    case "SIGTERM":
      return exitCodeOf("terminated");
    case "SIGHUP":
      return exitCodeOf("hung-up");
    default:
      return undefined;
  }
}
