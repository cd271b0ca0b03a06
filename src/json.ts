/** The value of a JSON text; `undefined` where it is none. */
export function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** One token, with the white space before it: a sign, a string, or another literal. */
const TOKEN =
  /[ \t\r\n]*(?:([{}[\],:])|("(?:[^"\\\p{Cc}]|[\x7f-\x9f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*")|(-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.+-])|(?:true|false|null)(?!\w)))/uy;

/**
 * Where a text stops being JSON, as a person looks for it in an editor: `line 3, column 7: unexpected "}"`.
 * What `JSON.parse` says has no place in it for most mistakes, and differs between Node's versions.
 *
 * @returns `undefined` when it is JSON.
 */
export function jsonError(text: string): string | undefined {
  /** The objects and lists that are open, by their closing sign. */
  const open: ("}" | "]")[] = [];
  let wanted: "value" | "first item" | "first name" | "name" | ":" | "end of value" = "value";
  let offset = 0;
  for (;;) {
    TOKEN.lastIndex = offset;
    const match = TOKEN.exec(text);
    const [whole = "", sign, string] = match ?? [];
    const closes = sign !== undefined && sign === open.at(-1);
    let fits = match !== null;
    if (!match && wanted === "end of value" && open.length === 0 && /^[ \t\r\n]*$/.test(text.slice(offset)))
      return undefined;
    if (wanted === "first item" || wanted === "value") {
      if (sign === "{") {
        open.push("}");
        wanted = "first name";
      } else if (sign === "[") {
        open.push("]");
        wanted = "first item";
      } else if (closes && wanted === "first item") {
        open.pop();
        wanted = "end of value";
      } else {
        fits &&= sign === undefined;
        wanted = "end of value";
      }
    } else if (wanted === "first name" || wanted === "name") {
      if (closes && wanted === "first name") {
        open.pop();
        wanted = "end of value";
      } else {
        fits &&= string !== undefined;
        wanted = ":";
      }
    } else if (wanted === ":") {
      fits &&= sign === ":";
      wanted = "value";
    } else if (closes) {
      open.pop();
    } else {
      fits &&= sign === "," && open.length > 0;
      wanted = open.at(-1) === "}" ? "name" : "value";
    }
    if (!fits) return positionOf(text, offset);
    offset += whole.length;
  }
}

function positionOf(text: string, offset: number): string {
  const at = offset + (/^[ \t\r\n]*/.exec(text.slice(offset))?.[0].length ?? 0);
  const before = text.slice(0, at);
  const line = before.split("\n").length;
  const column = at - before.lastIndexOf("\n");
  const [found] = text.slice(at);
  return `line ${line}, column ${column}: ${found === undefined ? "it ends too early" : `unexpected ${found}`}`;
}
