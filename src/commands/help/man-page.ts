/** The manual as one man page, in the macros of man(7). */
import { Lexer, type Token, type Tokens } from "marked";
import type { Topic } from "./manual.ts";

/**
 * @param summary what the program does, in a line.
 * @param topics in the order of the page.
 */
export function manPage(version: string, summary: string, topics: readonly Topic[]): string {
  return [
    `.TH KILOCLAW-ADMIN 1 "" "kiloclaw-admin ${version}"`,
    ".SH NAME",
    `kiloclaw\\-admin \\- ${escaped(summary)}`,
    ".SH SYNOPSIS",
    "\\fBkiloclaw\\-admin\\fR \\fICOMMAND\\fR [\\fIARGUMENT\\fR...] [\\fIOPTION\\fR...]",
    ...topics.flatMap(({ markdown }) => new Lexer().lex(markdown).map(block)),
    "",
  ]
    .filter((text, index, all) => text !== "" || index === all.length - 1)
    .join("\n");
}

function block(token: Token): string {
  switch (token.type) {
    case "heading": {
      const title = inline(token.tokens);
      return token.depth === 1 ? `.SH ${title.toUpperCase()}` : `.SS ${title}`;
    }
    case "paragraph":
      return `.PP\n${line(inline(token.tokens))}`;
    case "code":
      return `.PP\n.RS 4\n.nf\n${escaped(token.text as string)}\n.fi\n.RE`;
    case "list":
      return (token as Tokens.List).items
        .map((item) => `.IP \\(bu 2\n${item.tokens.map(listed).join("\n")}`)
        .join("\n");
    case "table":
      return (token as Tokens.Table).rows.map((row) => tableRow(token as Tokens.Table, row)).join("\n");
    default:
      return "";
  }
}

function listed(token: Token): string {
  return token.type === "text" ? line(inline(token.tokens ?? [token])) : block(token);
}

function tableRow({ header }: Tokens.Table, [name, ...cells]: readonly Tokens.TableCell[]): string {
  const texts = cells.map((cell, index) => {
    const label = index === 0 ? "" : `${inline(header[index + 1]?.tokens)}: `;
    return cell.text === "" ? "" : line(label + inline(cell.tokens));
  });
  return [".TP", line(inline(name?.tokens)), ...texts.filter((text) => text !== "")].join("\n");
}

function inline(tokens: readonly Token[] = []): string {
  return tokens
    .map((token) => {
      if (token.type === "codespan") return `\\fB${escaped(token.text as string)}\\fR`;
      if (token.type === "html" || token.type === "image") return "";
      const inner =
        "tokens" in token && token.tokens
          ? inline(token.tokens)
          : escaped("text" in token ? (token.text as string) : token.raw);
      if (token.type === "strong") return `\\fB${inner}\\fR`;
      return token.type === "em" ? `\\fI${inner}\\fR` : inner;
    })
    .join("");
}

/** One line of text: a line break would end a sentence, and a leading dot or quote would be a macro. */
const line = (text: string): string => text.replaceAll(/\s*\n\s*/g, " ");

/** Text that roff takes as it stands. */
function escaped(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll(/^([.'])/gm, "\\&$1");
}
