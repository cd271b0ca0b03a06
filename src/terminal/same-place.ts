/** The options that say which platform is meant, as far as they were typed. */
export interface PlaceOptions {
  readonly profile?: string | undefined;
  readonly host?: string | undefined;
}

/** A command on the platform, in a text for people, that does not say yet which one. */
const COMMAND = /\bkiloclaw-admin (?=(?:runs|instances|users|audit|jobs|doctor)\b)(?![^\n]*--(?:profile|host)\b)/g;
/** What a shell takes as it is. */
const PLAIN = /^[\w.:/[\]-]+$/;

/**
 * Completes the commands in a text with the profile and host of the one that is running: typed as they are shown, they must not
 * lead to another platform.
 */
export function inTheSamePlace(text: string, { profile, host }: PlaceOptions): string {
  const options = [
    ...(profile !== undefined && PLAIN.test(profile) ? [`--profile ${profile} `] : []),
    ...(host !== undefined && PLAIN.test(host) ? [`--host ${host} `] : []),
  ].join("");
  return options === "" ? text : text.replaceAll(COMMAND, `kiloclaw-admin ${options}`);
}

/** The same options in raw arguments. The last one counts. */
export function placeIn(argv: readonly string[]): PlaceOptions {
  const valueOf = (option: string) => {
    const at = argv.findLastIndex((argument) => argument === option || argument.startsWith(`${option}=`));
    return at === -1 ? undefined : argv[at] === option ? argv[at + 1] : argv[at]?.slice(option.length + 1);
  };
  return { profile: valueOf("--profile"), host: valueOf("--host") };
}
