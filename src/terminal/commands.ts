/** A command of this tool that asks the platform something, with what follows it on its line. */
const COMMAND = /\bkiloclaw-admin (?=(?:runs|jobs|instances|users|audit|auth)\b)([^\n]*)/g;

/**
 * The commands in a text as they have to be typed here: with the flags that named the platform on this command's own line, so
 * that what is copied leads to the same one. A command that names one itself stays.
 *
 * @param flags such as `--profile staging`; none is no change.
 */
export function withFlags(text: string, flags: readonly string[]): string {
  if (flags.length === 0) return text;
  return text.replace(COMMAND, (command, rest: string) =>
    /--(?:profile|host)\b/.test(rest) ? command : `kiloclaw-admin ${flags.join(" ")} ${rest}`,
  );
}
