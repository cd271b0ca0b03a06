/** A page of the manual as a terminal shows it. */
import { stripVTControlCharacters } from "node:util";
import { Lexer, type Token, type Tokens } from "marked";
import type { Paint } from "../../terminal/paint.ts";
import { widthOf } from "../../terminal/width.ts";

const CODE_INDENT = 4;
/** The widest first column of a table; a longer name has a line of its own. */
const MAX_NAME = 28;

interface Look {
  /** Columns of the terminal. */
  readonly width: number;
  readonly paint: Paint;
}

/** Renders one Markdown page of the manual, wrapped to `look.width` columns. Code blocks are never wrapped. */
export function renderPage(markdown: string, look: Look): string {
  return `${blocks(new Lexer().lex(markdown), look).join("\n\n")}\n`;
}

function blocks(tokens: readonly Token[], look: Look): string[] {
  return tokens.map((token) => block(token, look)).filter((text) => text !== "");
}

function block(token: Token, look: Look): string {
  switch (token.type) {
    case "heading":
      return look.paint("bold", inline(token.tokens, plain));
    case "paragraph":
    case "text":
      return wrap(inline(token.tokens ?? [token], look.paint), look.width);
    case "code":
      return indented(token.text as string, CODE_INDENT, (line) => look.paint("cyan", line));
    case "list":
      return (token as Tokens.List).items
        .map((item, index) => listItem(token as Tokens.List, item, index, look))
        .join("\n");
    case "table":
      return (token as Tokens.Table).rows.map((row) => tableRow(token as Tokens.Table, row, look)).join("\n");
    default:
      // Comments around what is generated, and empty lines.
      return "";
  }
}

function listItem(list: Tokens.List, item: Tokens.ListItem, index: number, look: Look): string {
  const mark = list.ordered ? `${Number(list.start) + index}. ` : "- ";
  const inner = blocks(item.tokens, { ...look, width: look.width - mark.length }).join("\n");
  return mark + indented(inner, mark.length).trimStart();
}

const nameOf = (row: readonly Tokens.TableCell[]): string => inline(row[0]?.tokens, plain);

/** A row's first cell names what the second one explains; further cells are told by their headers. */
function tableRow({ header, rows }: Tokens.Table, cells: readonly Tokens.TableCell[], look: Look): string {
  const column = Math.min(MAX_NAME, Math.max(...rows.map((row) => widthOf(nameOf(row))))) + 2;
  const name = nameOf(cells);
  const width = Math.max(20, look.width - column - 2);
  const texts = cells.slice(1).map((cell, index) => {
    const label = index === 0 ? "" : `${inline(header[index + 1]?.tokens, plain)}: `;
    const text = inline(cell.tokens, look.paint);
    return text === "" ? "" : wrap(label + text, width);
  });
  const meaning = texts.filter((text) => text !== "").join("\n");
  const fits = widthOf(name) <= column - 2;
  const head =
    words(wrap(name, look.width - 2), (word) => look.paint("bold", word)) +
    (fits ? " ".repeat(column - widthOf(name)) : `\n${" ".repeat(column)}`);
  return `  ${indented(head + meaning.replaceAll("\n", `\n${" ".repeat(column)}`), 2).trimStart()}`;
}

const plain: Paint = (_color, text) => text;

function inline(tokens: readonly Token[] = [], paint: Paint): string {
  return tokens.map((token) => span(token, paint)).join("");
}

function span(token: Token, paint: Paint): string {
  switch (token.type) {
    case "codespan":
      return words(token.text as string, (word) => paint("cyan", word));
    case "strong":
      return words(inline(token.tokens, plain), (word) => paint("bold", word));
    case "link":
      return linked(inline(token.tokens, paint), token.href as string);
    case "image":
    case "html":
      return "";
    case "em":
    case "text":
      return "tokens" in token && token.tokens ? inline(token.tokens, paint) : (token.text as string);
    default:
      return "text" in token ? (token.text as string) : token.raw;
  }
}

/** Where a link leads is worth saying of another site's pages; the manual's own are its topics. */
function linked(text: string, href: string): string {
  return /^https?:/.test(href) && !text.includes(href) ? `${text} (${href})` : text;
}

/** Each word by itself, so that a line may end between them. */
function words(text: string, change: (word: string) => string): string {
  return text.replaceAll(/\S+/g, change);
}

function wrap(text: string, width: number): string {
  const lines: string[] = [];
  let line = "";
  let used = 0;
  for (const word of text.split(/\s+/)) {
    const wide = widthOf(stripVTControlCharacters(word));
    if (line !== "" && used + 1 + wide > width) {
      lines.push(line);
      line = "";
      used = 0;
    }
    line += line === "" ? word : ` ${word}`;
    used += wide + (used === 0 ? 0 : 1);
  }
  return [...lines, line].join("\n");
}

function indented(text: string, by: number, change = (line: string) => line): string {
  return text
    .split("\n")
    .map((line) => (line === "" ? line : " ".repeat(by) + change(line)))
    .join("\n");
}
