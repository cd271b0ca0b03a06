/** `-o yaml`. Loaded only where it was asked for. */
import { Document, visit } from "yaml";
import { isSafe, sanitizeYaml } from "./sanitize.ts";

/** Half of a character alone, which YAML has no form for. */
const HALVES = /\p{Surrogate}/gu;

/** Blanks alone, which are not read back from the form that texts of several lines have. */
const BLANK = /^\s+$/;

/**
 * What JSON would say of a value, as a YAML document with a line end. Every text is read back as a text, by readers of YAML 1.1, too
 * (`no`, times), and what could drive a terminal is escaped.
 */
export function yaml(value: unknown): string {
  const options = { compat: "yaml-1.1", aliasDuplicateObjects: false } as const;
  const document = new Document(JSON.parse(JSON.stringify(value ?? null)), options);
  visit(document, {
    Scalar: (_, scalar) => {
      if (typeof scalar.value !== "string" || (isSafe(scalar.value) && !BLANK.test(scalar.value))) return;
      scalar.value = scalar.value.replaceAll(HALVES, "\ufffd");
      // The only form with escapes.
      scalar.type = "QUOTE_DOUBLE";
    },
  });
  // Folding would cut a line where an escape may begin.
  return sanitizeYaml(document.toString({ lineWidth: 0 }));
}
