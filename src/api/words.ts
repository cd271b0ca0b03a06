/**
 * What another machine says, in words for a person: short whatever its length, without markup and SQL. The text itself stays
 * with the error, for `--debug`.
 */
import { tryJson } from "../json.ts";

const MAX_LENGTH = 300;
const MAX_TITLE_LENGTH = 80;
const MAX_ISSUES = 5;
/** A list of issues that is longer than this is not even read. */
const MAX_LIST_LENGTH = 100_000;
/** A page's title stands near its beginning. */
const HEAD_LENGTH = 16_384;

const JSON_TEXT = /^\s*(?:\{\s*["}]|\[\s*[{["])/;
const MARKUP = /<[a-z!/]/i;
const TITLE = /<title[^<>]{0,200}>([^<]{0,300})/i;
const SQL = /\bfailed query\b|\b(?:select|insert into|update|delete from) "/i;

/** A message of the platform's. Input errors come as a JSON list of issues in it, some others hold SQL or a whole page. */
export function inWords(message: string): string {
  const list = /^\s*\[/.test(message);
  if (list && message.length > MAX_LIST_LENGTH) {
    return `the platform refused the input, in a message of ${message.length} characters`;
  }
  const issues = list ? tryJson(message) : undefined;
  if (!Array.isArray(issues)) return plain(message);
  const more = issues.length > MAX_ISSUES ? "; …" : "";
  return `the platform refused the input: ${issues.slice(0, MAX_ISSUES).map(issueInWords).join("; ")}${more}`;
}

/** What kind of body an answer has that is not of the platform's making. */
export function bodyInWords(text: string): string {
  const head = text.slice(0, HEAD_LENGTH).trim();
  if (head === "") return "an empty answer";
  if (/^[[{"]/.test(head)) return "JSON in another form than the platform's";
  const title = titleOf(head);
  if (title !== undefined) return `a page titled "${title}"`;
  return MARKUP.test(head) ? "a page without a title" : `"${plain(head.slice(0, 120))}"`;
}

function titleOf(page: string): string | undefined {
  const title = TITLE.exec(page)?.[1]?.replaceAll(/\s+/g, " ").trim();
  return title ? cut(title, MAX_TITLE_LENGTH) : undefined;
}

function issueInWords(issue: unknown): string {
  if (typeof issue !== "object" || issue === null) return plain(String(issue));
  const { path, message } = issue as { path?: unknown; message?: unknown };
  return `${plain(String(path))}: ${plain(String(message))}`;
}

function plain(text: string): string {
  if (JSON_TEXT.test(text)) return "JSON in place of a message";
  const head = text.slice(0, HEAD_LENGTH);
  const shown = head.slice(0, MAX_LENGTH);
  if (MARKUP.test(shown)) {
    const title = titleOf(head);
    return title === undefined ? "a page in place of a message" : `a page in place of a message, titled "${title}"`;
  }
  const sql = SQL.exec(head);
  if (sql && sql.index < MAX_LENGTH) return `${head.slice(0, sql.index)}a database query failed`;
  return cut(text, MAX_LENGTH);
}

function cut(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length)}…` : text;
}
