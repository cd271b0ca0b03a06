import { isOn } from "../environment.ts";
import { CliError, messageOf } from "../errors.ts";
import { withoutTokens } from "../secrets.ts";
import type { Host } from "./host.ts";
import type { Output } from "./output.ts";
import { wantsColor, type ColorChoice } from "./paint.ts";
import { sanitize, sanitizeJson, sanitizeLine } from "./sanitize.ts";

/** In characters. */
const MAX_DETAIL_LENGTH = 65_536;

const ISSUES = "https://github.com/Kilo-Org/kiloclaw-admin/issues";

interface ReportOptions {
  /** As they were typed. */
  readonly argv: readonly string[];
  readonly exitCode: number;
  /** What the command used, if it came that far: it knows the profile's format and colour. */
  readonly output: Pick<Output, "color" | "format" | "typed"> | undefined;
}

/** Tells the user, on standard error, what went wrong and what to type next; as JSON where JSON was asked for. */
export function reportError(host: Host, error: unknown, { argv, exitCode, output }: ReportOptions): void {
  if (error instanceof CliError && error.silent) return;
  if (debugging(host, argv)) for (const detail of detailsOf(error)) host.stderr.write(`debug: ${sanitize(detail)}\n`);
  const known = error instanceof CliError;
  const message = known ? error.message : `unexpected error: ${messageOf(error)}`;
  const said = known ? error.hints : [`this is a bug in kiloclaw-admin; please report it: ${ISSUES}`];
  const hints = said.map((hint) => (output ? output.typed(hint) : String(hint)));
  if (wantsJson(host, argv) || isJson(output?.format)) {
    const kind = known ? error.kind : "unexpected";
    const hint = hints.length > 0 ? hints.join("\n") : null;
    const retryable = known && error.retryable;
    // Of the other kinds the exit code says it.
    const sent = known && kind === "conflict" ? (error.sent ?? false) : null;
    const report = { error: { kind, message, hint, retryable, exitCode, sent } };
    host.stderr.write(`${sanitizeJson(JSON.stringify(report))}\n`);
    return;
  }
  const colored = wantsColor(host.stderr, host.env, output?.color ?? colorChoice(argv));
  const [red, reset] = colored ? ["\u001b[31m", "\u001b[39m"] : ["", ""];
  // One line: with a line break in a customer's address a hint could be made up.
  host.stderr.write(`${red}error:${reset} ${sanitizeLine(message)}\n`);
  for (const hint of hints) host.stderr.write(`  ${sanitizeLine(hint)}\n`);
  if (!known && error instanceof Error && error.stack && debugging(host, argv)) {
    host.stderr.write(`${sanitize(withoutTokens(error.stack))}\n`);
  }
}

/** What other machines said, word for word, as far as the message does not have it already. */
function detailsOf(error: unknown): string[] {
  const details = new Set<string>();
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof CliError && cause.detail) details.add(withoutTokens(cause.detail.slice(0, MAX_DETAIL_LENGTH)));
  }
  return [...details].filter((detail) => !(error instanceof Error && error.message.includes(detail)));
}

/** Read from the raw arguments: the error may be about the arguments. */
function wantsJson({ env }: Host, argv: readonly string[]): boolean {
  const given = argv.some(
    (argument, index) =>
      argument === "--json" ||
      /^--jq(?:=|$)/.test(argument) ||
      (/^(-o|--output)$/.test(argument) && isJson(argv[index + 1])) ||
      isJson(/^(?:--output=|-o=?)(\w+)$/.exec(argument)?.[1]),
  );
  return given || isJson(env.KILOCLAW_ADMIN_OUTPUT);
}

function isJson(format: string | undefined): boolean {
  // JSON is YAML, too.
  return format === "json" || format === "jsonl" || format === "yaml";
}

function colorChoice(argv: readonly string[]): ColorChoice {
  if (argv.includes("--no-color") || argv.includes("--color=never")) return "never";
  const next = argv[argv.indexOf("--color") + 1];
  if (argv.includes("--color") && (next === "always" || next === "never")) return next;
  return argv.includes("--color=always") ? "always" : "auto";
}

function debugging({ env }: Host, argv: readonly string[]): boolean {
  return argv.includes("--debug") || isOn(env.KILOCLAW_ADMIN_DEBUG);
}
