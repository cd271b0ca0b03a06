import * as z from "zod";

/**
 * The JSON Schema (draft 2020-12) of what is printed of a shape: times are ISO-8601 texts. Further fields may come with later
 * versions, so none are forbidden.
 */
export function jsonSchemaOf(shape: z.ZodType): z.core.JSONSchema.BaseSchema {
  return z.toJSONSchema(shape, {
    io: "input",
    unrepresentable: "any",
    override: ({ zodSchema, jsonSchema }) => {
      // Of values that are sent, which these are not.
      delete jsonSchema.readOnly;
      if (zodSchema instanceof z.ZodDate) Object.assign(jsonSchema, { type: "string", format: "date-time" });
    },
  });
}
