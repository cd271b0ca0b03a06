import type { TextSink } from "./host.ts";

export type Color = "red" | "green" | "yellow" | "blue" | "cyan" | "magenta" | "dim" | "bold" | "alarm";

/**
 * Colours a text that is already safe for a terminal, or gives it back as it is where there is no colour. `alarm` stands out
 * everywhere: on red, or in brackets.
 */
export type Paint = (color: Color, text: string) => string;

export type ColorChoice = "auto" | "always" | "never";

const plain: Paint = (color, text) => (color === "alarm" ? `[${text}]` : text);

/**
 * Whether `sink` takes colour. `--color` decides, then NO_COLOR and FORCE_COLOR (https://no-color.org,
 * https://force-color.org), then whether it is a terminal that is not `dumb`.
 */
export function wantsColor(
  sink: TextSink,
  env: Readonly<Record<string, string | undefined>>,
  choice: ColorChoice,
): boolean {
  if (choice !== "auto") return choice === "always";
  if (env.NO_COLOR) return false;
  if (env.FORCE_COLOR) return env.FORCE_COLOR !== "0" && env.FORCE_COLOR !== "false";
  return sink.isTTY === true && env.TERM !== "dumb";
}

/** Loads the colours only where there will be any. */
export async function createPaint(colored: boolean): Promise<Paint> {
  if (!colored) return plain;
  const { Chalk } = await import("chalk");
  const chalk = new Chalk({ level: 1 });
  return (color, text) => (color === "alarm" ? chalk.bold.white.bgRed(` ${text} `) : chalk[color](text));
}
