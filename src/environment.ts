/** The process's environment, as far as all parts of the tool read it alike. What each variable means: `config/environment.ts`. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The words that turn a variable on. */
const ON_WORDS = ["1", "true", "yes", "on"] as const;

/** Whether a variable that is either on or off is on: nothing but one of {@link ON_WORDS} turns it on. */
export function isOn(value: string | undefined): boolean {
  const word = value?.trim().toLowerCase();
  return ON_WORDS.some((on) => on === word);
}
