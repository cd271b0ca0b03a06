/** Reads the text of a playbook: front matter in YAML between two lines `---`, then the prompt. Loaded only where one is used. */
import { createHash } from "node:crypto";
import { isMap, isScalar, LineCounter, parseDocument, visit, type Document } from "yaml";
import * as z from "zod";
import { BRACES_HINT, PromptTemplate } from "../bulk/input/prompt-template.ts";
import { problemWithPrompt } from "../runs/start/prompt.ts";
import type { Field, Playbook, Problem } from "./playbook.ts";
import { compiled, problemsWithValues } from "./values.ts";

/** What stands for the target in every prompt. */
const BUILT_IN = ["user", "line"];
const MAX_PATTERN_LENGTH = 500;

const textUpTo = (most: number) =>
  z.string("it must be text; put it in quotes").refine((text) => text.trim() !== "" && text.length <= most, {
    error: `it must have 1 to ${most} characters`,
  });
const lineUpTo = (most: number) =>
  textUpTo(most).refine((text) => !/\p{Cc}/u.test(text), { error: "it must be one line, without control characters" });
const numberFrom1To = (most: number) => {
  const error = `it must be a whole number from 1 to ${most}`;
  return z.int(error).min(1, error).max(most, error).optional();
};

const field = z.strictObject({
  description: lineUpTo(500).optional(),
  pattern: lineUpTo(MAX_PATTERN_LENGTH)
    .refine((pattern) => compiled(pattern) !== undefined, { error: "it is not a regular expression" })
    .optional(),
  default: z.string("it must be text; put it in quotes").optional(),
});

const fieldName = z
  .string()
  .regex(/^[A-Za-z][\w-]{0,63}$/, "a field's name is a letter, then letters, digits, - and _")
  .refine((name) => !BUILT_IN.includes(name), { error: "it is there for every target, and cannot be a field" });

const frontMatter = z.strictObject({
  title: lineUpTo(120),
  description: textUpTo(2_000).optional(),
  requiresTicket: z.boolean("it can be true, false").optional(),
  limits: z.strictObject({ concurrency: numberFrom1To(256), canary: numberFrom1To(10_000) }).optional(),
  fields: z.record(fieldName, field).optional(),
});

/** Ends the reading of a file. */
class Unusable extends Error {
  readonly problems: readonly Problem[];

  constructor(...problems: readonly Problem[]) {
    super(problems[0]?.reason);
    this.problems = problems;
  }
}

/** The playbook in a file, or what keeps it from being one. */
export type Parsed = { readonly playbook: Playbook } | { readonly problems: readonly Problem[] };

/**
 * Reads a playbook.
 *
 * @param name what it is called.
 */
export function parsePlaybook(name: string, bytes: Buffer): Parsed {
  try {
    return { playbook: read(name, bytes) };
  } catch (error) {
    if (error instanceof Unusable) return { problems: error.problems };
    throw error;
  }
}

function read(name: string, bytes: Buffer): Playbook {
  const { yaml, prompt, promptLine } = partsOf(textOf(bytes));
  const { title, description, requiresTicket, limits, fields, lineOf } = readFrontMatter(yaml);
  const { template, problems } = readPrompt(prompt, promptLine, fields);
  const ofFields = fields.flatMap((field) => {
    const line = lineOf("fields", field.name);
    const unused = template?.fields.includes(field.name) === false;
    return [
      ...problemsWithDefault(field, line),
      ...(unused ? [{ line, reason: `the prompt has no {{${field.name}}}` }] : []),
    ];
  });
  if (!template || ofFields.length + problems.length > 0) throw new Unusable(...ofFields, ...problems);
  return {
    name,
    title,
    description: description?.trim() ?? null,
    requiresTicket: requiresTicket ?? false,
    limits: { concurrency: limits?.concurrency ?? null, canary: limits?.canary ?? null },
    fields,
    template,
    sha256: createHash("sha256").update(bytes).digest("hex"),
  };
}

/** The file as text with the line ends of POSIX: git may write others. */
function textOf(bytes: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes).replaceAll("\r\n", "\n");
  } catch {
    const lines = bytes.toString("utf8").split("\n");
    const line = lines.findIndex((text) => text.includes("\ufffd")) + 1;
    throw new Unusable({ line: line === 0 ? null : line, reason: "it is not UTF-8" });
  }
}

interface Parts {
  /** The front matter, which begins in the file's second line. */
  readonly yaml: string;
  readonly prompt: string;
  /** The file's line in which the prompt begins. */
  readonly promptLine: number;
}

function partsOf(text: string): Parts {
  const lines = text.split("\n");
  if (lines[0]?.trimEnd() !== "---") throw new Unusable({ line: 1, reason: "it does not begin with a line ---" });
  const end = lines.findIndex((line, index) => index > 0 && line.trimEnd() === "---");
  if (end === -1) throw new Unusable({ line: 1, reason: "its front matter is not closed by a line ---" });
  let first = end + 1;
  while (first < lines.length - 1 && lines[first]?.trim() === "") first += 1;
  const prompt = lines.slice(first).join("\n").trimEnd();
  return { yaml: lines.slice(1, end).join("\n"), prompt, promptLine: first + 1 };
}

interface FrontMatter extends Omit<z.output<typeof frontMatter>, "fields"> {
  readonly fields: readonly Field[];
  /** The file's line in which a key stands, or the nearest one above it. */
  readonly lineOf: (...path: readonly PropertyKey[]) => number;
}

function readFrontMatter(yaml: string): FrontMatter {
  const counter = new LineCounter();
  const lineAt = (offset: number) => counter.linePos(offset).line + 1;
  const options = { lineCounter: counter, prettyErrors: false, stringKeys: true, version: "1.2" } as const;
  const document = parseDocument(yaml, options);
  // What stands behind the first follows from it.
  const [broken] = [...document.errors, ...document.warnings];
  if (broken) throw new Unusable({ line: lineAt(broken.pos[0]), reason: broken.message.split("\n", 1)[0] ?? "" });
  const odd: Problem[] = [];
  const refuse = (offset: number | undefined, reason: string) => void odd.push({ line: lineAt(offset ?? 0), reason });
  visit(document, {
    Alias: (_, { range, source }) => refuse(range?.[0], `*${source}: there are no references here`),
    Node: (_, { tag, range }) => {
      if (tag?.startsWith("!") === true) refuse(range?.[0], `${tag}: there are no tags here`);
    },
    // No schema sees this one.
    Pair: (_, { key }) => {
      if (isScalar(key) && key.value === "__proto__") refuse(key.range?.[0], 'unknown key "__proto__"');
    },
  });
  if (odd.length > 0) throw new Unusable(...odd);
  const lineOf = (...path: readonly PropertyKey[]): number => {
    for (let depth = path.length; depth > 0; depth -= 1) {
      const within = depth === 1 ? document.contents : document.getIn(path.slice(0, depth - 1), true);
      const pair = isMap(within)
        ? within.items.find(({ key }) => isScalar(key) && key.value === path[depth - 1])
        : undefined;
      if (isScalar(pair?.key)) return lineAt(pair.key.range?.[0] ?? 0);
    }
    return 1;
  };
  const json: unknown = document.toJS() ?? {};
  const { data, error } = frontMatter.safeParse(json);
  if (!data) throw new Unusable(...(error?.issues.flatMap((issue) => problemsOf(issue, document, lineOf)) ?? []));
  const { fields = {}, ...others } = data;
  const list = Object.entries(fields).map(
    ([name, { description = null, pattern = null, default: preset = null }]): Field => ({
      name,
      description,
      pattern,
      default: preset,
    }),
  );
  return { ...others, fields: list, lineOf };
}

/** What a schema has to say, in words. */
function problemsOf(issue: z.core.$ZodIssue, document: Document, lineOf: FrontMatter["lineOf"]): Problem[] {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({ line: lineOf(...issue.path, key), reason: `unknown key "${key}"` }));
  }
  const line = lineOf(...issue.path);
  if (issue.path.length === 0) return [{ line, reason: "its front matter is not a list of keys and values" }];
  const key = `"${issue.path.join(".")}"`;
  if (!document.hasIn(issue.path)) return [{ line, reason: `${key} is missing` }];
  return [{ line, reason: `${key}: ${wordsOf(issue)}` }];
}

function wordsOf(issue: z.core.$ZodIssue): string {
  if (issue.code === "invalid_key") return issue.issues[0]?.message ?? issue.message;
  const isMapping = issue.code === "invalid_type" && (issue.expected === "object" || issue.expected === "record");
  return isMapping ? "it must be keys and values" : issue.message;
}

function problemsWithDefault({ name, pattern, default: preset }: Field, line: number): Problem[] {
  if (preset === null) return [];
  return [...problemsWithValues({ pattern }, [preset]).values()].map((problem) => ({
    line,
    reason: `the default of "${name}": ${problem}`,
  }));
}

function readPrompt(
  prompt: string,
  firstLine: number,
  fields: readonly Field[],
): { readonly template?: PromptTemplate; readonly problems: readonly Problem[] } {
  const lineAt = (offset: number) => firstLine + prompt.slice(0, offset).split("\n").length - 1;
  const wrong = problemWithPrompt(prompt);
  if (wrong !== undefined) return { problems: [{ line: firstLine, reason: `the prompt ${wrong}` }] };
  const control = /[^\P{Cc}\n\t]/u.exec(prompt);
  if (control) return { problems: [{ line: lineAt(control.index), reason: "there is a control character" }] };
  const template = new PromptTemplate(prompt, (line) => {
    throw new Unusable({ line: firstLine + line - 1, reason: `a {{ is not that of a field: ${BRACES_HINT}` });
  });
  const known = [...BUILT_IN, ...fields.map(({ name }) => name)];
  const unknown = template.fields.filter((name) => !known.includes(name));
  return {
    template,
    problems: unknown.map((name) => ({
      line: lineAt(placeOf(prompt, name)),
      reason: `{{${name}}} is not among its fields`,
    })),
  };
}

/** Where a field stands in a prompt first. */
function placeOf(prompt: string, field: string): number {
  for (const { index, 1: name = "" } of prompt.matchAll(/(?<!\\)\{\{([^{}]*)\}\}/g)) {
    if (name.trim() === field) return index;
  }
  return 0;
}
