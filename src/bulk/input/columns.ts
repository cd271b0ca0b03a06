/** Which of an input's columns name the user and the instance. */

/** As {@link plain} has them: our own lists' names, in the order in which they count. */
const USER_COLUMNS = ["user", "email", "useremail", "userid", "named"];
/** What other programs call it: `E-Mail`, `Email Address`, `Customer e-mail`. Never the address of somebody else, an admin's say. */
const LIKELY_USER_COLUMN = /^(?:user|customer|client|account|member|primary)?e?mail(?:address)?$|^customer$/;
const INSTANCE_COLUMNS = ["instance", "instanceid"];
/** Only a list of instances has it, and there the instance itself is the `id`. */
const MARK_OF_INSTANCES = "sandboxid";

/** A value of an input; `null` is empty, `undefined` nothing that stands for a user. */
export type Value = string | null | undefined;

interface Chosen {
  /** The first that is not empty counts: our own lists have a user's ID also where there is no e-mail address. */
  readonly users: readonly string[];
  readonly instance: string | undefined;
}

export class Columns {
  readonly #user: string | undefined;
  readonly #instance: string | undefined;
  /** Of the names that were asked about last: those of one entry are mostly those of the next. */
  #last: { readonly names: readonly string[]; readonly chosen: Chosen | string } | undefined;

  /** The columns' names where the user gave them; else those of this tool's own lists, and likely ones. */
  constructor({
    userColumn,
    instanceColumn,
  }: {
    readonly userColumn?: string | undefined;
    readonly instanceColumn?: string | undefined;
  }) {
    this.#user = userColumn;
    this.#instance = instanceColumn;
  }

  /** Why columns of these names do not do, if so. */
  problemWith(names: readonly string[]): string | undefined {
    const chosen = this.#chosen(names);
    return typeof chosen === "string" ? chosen : undefined;
  }

  /** The user and the instance that an entry names, each `null` where it does not, or what is wrong with it. */
  of(values: Readonly<Record<string, Value>>): { user: string | null; instance: string | null } | string {
    const chosen = this.#chosen(Object.keys(values));
    if (typeof chosen === "string") return chosen;
    let user: string | null = null;
    for (const name of [...chosen.users, ...(chosen.instance === undefined ? [] : [chosen.instance])]) {
      if (values[name] === undefined) return `its "${name}" is not a text`;
    }
    for (const name of chosen.users) user ??= values[name]?.trim() || null;
    const instance = chosen.instance === undefined ? null : values[chosen.instance]?.trim() || null;
    return { user, instance };
  }

  #chosen(names: readonly string[]): Chosen | string {
    const last = this.#last;
    if (last && last.names.length === names.length && names.every((name, at) => name === last.names[at])) {
      return last.chosen;
    }
    const chosen = this.#choose(names);
    this.#last = { names, chosen };
    return chosen;
  }

  #choose(names: readonly string[]): Chosen | string {
    const among = (wanted: string) => names.filter((name) => plain(name) === plain(wanted));
    const given = (wanted: string) => {
      const exact = names.filter((name) => name.toLowerCase() === wanted.toLowerCase());
      return exact.length > 0 ? exact : among(wanted);
    };
    const there = `there are: ${names.map((name) => `"${name}"`).join(", ")}`;
    for (const wanted of [this.#user, this.#instance]) {
      if (wanted !== undefined && given(wanted).length === 0) return `there is no column "${wanted}"; ${there}`;
    }
    const likely = names.filter((name) => LIKELY_USER_COLUMN.test(plain(name)));
    const users =
      this.#user === undefined ? [...new Set([...USER_COLUMNS.flatMap(among), ...likely])] : given(this.#user);
    const ownId = among(MARK_OF_INSTANCES).length > 0 ? ["id"] : [];
    const [instance] =
      this.#instance === undefined ? [...INSTANCE_COLUMNS, ...ownId].flatMap(among) : given(this.#instance);
    if (users.length === 0 && instance === undefined) return `no column names the user; ${there}`;
    return { users, instance };
  }
}

/** A column's name without what people write in different ways: capitals, blanks, hyphens, underscores. */
function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[\s_.-]/g, "");
}
