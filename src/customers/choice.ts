import { CliError } from "../errors.ts";
import { hint, type Hint } from "../typed-command.ts";

/** One of several that may be meant. */
export interface Choice<T> {
  readonly value: T;
  /** What names it and nothing else. */
  readonly id: string;
  /** What a person tells it by. */
  readonly label: Hint;
  /** What to type for it, where that is more than its ID in place of the word. */
  readonly toType?: Hint;
}

/** A word that may mean several, where a command is about one. */
export interface Ambiguity<T> {
  readonly kind: "ambiguous" | "not-found";
  /** What is wrong, for an error. */
  readonly message: string;
  /** What is asked where there is a user to ask. */
  readonly question: string;
  readonly choices: readonly Choice<T>[];
  /** How many more there are. */
  readonly more?: number;
  /** The word as it was typed, which the ID of a choice can stand in place of. */
  readonly word: string;
  /** The option that says which one, in commands that have it. */
  readonly option?: `--${string}` | undefined;
}

/**
 * Finds out which one is meant.
 *
 * @throws CliError of the ambiguity's kind, with the choices, where there is no user to ask.
 */
export type Choose = <T>(ambiguity: Ambiguity<T>) => Promise<T>;

/** Chooses nothing: for what is read without a user. */
export const refuse: Choose = ({ kind, message, choices }) => {
  throw new CliError(kind, message, { hint: choices.map(({ id, label }) => hint`${label}: ${id}`) });
};
