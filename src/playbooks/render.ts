import { Problems } from "../bulk/input/problems.ts";
/** Fills a playbook's fields in: by `--set`, by a users file's columns, by their defaults. */
import { whereOf } from "../bulk/input/prompt-template.ts";
import type { Entry } from "../bulk/item.ts";
import { CliError } from "../errors.ts";
import { option, type Said } from "../typed-command.ts";
import type { Field, Playbook } from "./playbook.ts";
import { problemsWithValues } from "./values.ts";

/** What there is for fields besides their defaults. */
export interface Values {
  /** The same for all targets. */
  readonly set: ReadonlyMap<string, string>;
  /** The names of what each entry has by itself. */
  readonly columns: readonly string[];
}

/**
 * The entries with a value for each field of the playbook, and nothing else that a prompt could say.
 *
 * @throws CliError `usage` that names what is unknown, given twice, missing or not what the playbook takes.
 */
export function fillIn<E extends Entry>(
  { name, fields }: Pick<Playbook, "name" | "fields">,
  entries: readonly E[],
  { set, columns }: Values,
): E[] {
  checkSet(name, fields, { set, columns });
  const missing = fields.filter(
    (field) => !set.has(field.name) && field.default === null && !columns.includes(field.name),
  );
  if (missing.length > 0) {
    throw new CliError("usage", `playbook "${name}" needs a value for: ${namesOf(missing)}; nothing was sent`, {
      hint: missing.map((field): Said => option("--set", `${field.name}=VALUE`)),
    });
  }
  const problems = new Problems();
  const values = fields.map((field) => {
    const of = entries.map((entry) => valueOf(field, entry, set));
    const wrong = problemsWithValues(
      field,
      of.filter((value) => value !== undefined),
    );
    for (const [index, value] of of.entries()) {
      const problem = value === undefined ? "it has no value" : wrong.get(value);
      const entry = entries[index];
      if (problem !== undefined && entry) problems.add(whereOf(entry, index + 1), `${field.name}: ${problem}`);
    }
    return of;
  });
  problems.throwIfAny(
    (count) => `${count === 1 ? "1 value is" : `${count} values are`} not what playbook "${name}" takes`,
  );
  return entries.map((entry, index) => ({
    ...entry,
    fields: Object.fromEntries(fields.map((field, at) => [field.name, values[at]?.[index] ?? ""])),
  }));
}

function checkSet(name: string, fields: readonly Field[], { set, columns }: Values): void {
  for (const [key, value] of set) {
    const field = fields.find((one) => one.name === key);
    if (!field) {
      throw new CliError("usage", `playbook "${name}" has no field "${key}"; nothing was sent`, {
        hint: fields.length === 0 ? "it has no fields" : `its fields: ${namesOf(fields)}`,
      });
    }
    if (columns.includes(key)) {
      throw new CliError("usage", `"${key}" is given by --set and by a column of the targets; nothing was sent`, {
        hint: "leave out --set, or give the column another name",
      });
    }
    const problem = problemsWithValues(field, [value]).get(value);
    if (problem !== undefined) throw new CliError("usage", `--set ${key}: ${problem}; nothing was sent`);
  }
}

/** An empty cell says nothing. */
function valueOf(field: Field, { fields }: Entry, set: Values["set"]): string | undefined {
  const own = Object.hasOwn(fields, field.name) ? fields[field.name] : undefined;
  return set.get(field.name) ?? (own === undefined || own.trim() === "" ? (field.default ?? undefined) : own);
}

function namesOf(fields: readonly Field[]): string {
  return fields.map(({ name }) => name).join(", ");
}
