import { SandboxError } from "../sandbox-error.ts";

/** A word, or what stands between quotes. */
const PART = /"([^"]*)"|'([^']*)'|(\S+)/g;

/**
 * Splits `kilo run --auto "some words"` into program and arguments. Quotes group words; nothing else is special, no shell
 * is involved.
 *
 * @throws {SandboxError} when there is no word at all.
 */
export function splitCommand(line: string): readonly [string, ...string[]] {
  const [program, ...rest] = [...line.matchAll(PART)].map(([, double, single, bare]) => double ?? single ?? bare ?? "");
  if (!program) throw new SandboxError("The agent command is empty.");
  return [program, ...rest];
}
