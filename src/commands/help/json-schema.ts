/** `help json SHAPE`: the JSON Schema of what is printed for programs. */
import { CliError } from "../../errors.ts";
import { jsonSchemaOf } from "../../shapes/json-schema.ts";
import { SHAPES, type ShapeName } from "../../shapes/shapes.ts";
import { command, hint } from "../../typed-command.ts";

/** The word for all of them in one document, each under its name in `$defs`. */
const ALL = "all";

/**
 * The JSON Schema of a shape as JSON, or of all of them in one document.
 *
 * @throws CliError `usage` where there is no such shape.
 */
export function schemaText(name: string): string {
  return `${JSON.stringify(name === ALL ? allSchemas() : jsonSchemaOf(SHAPES[shapeNamed(name)]), null, 2)}\n`;
}

function allSchemas(): object {
  const schemas = Object.entries(SHAPES).map(([name, shape]) => {
    const { $schema: _, ...schema } = jsonSchemaOf(shape);
    return [name, schema] as const;
  });
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "what kiloclaw-admin prints as JSON",
    $defs: Object.fromEntries(schemas),
  };
}

function shapeNamed(name: string): ShapeName {
  const names = Object.keys(SHAPES) as ShapeName[];
  const shape = names.find((known) => known === name);
  if (shape) return shape;
  throw new CliError("usage", `there is no shape "${name}"`, {
    hint: [`shapes: ${names.join(", ")}`, hint`the schemas of all: ${command("help json", ALL)}`],
  });
}
