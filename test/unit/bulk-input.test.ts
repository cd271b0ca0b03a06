/** What a list of users may look like, and what is said of one that cannot be used. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeList } from "../../src/bulk/input/encoding.ts";
import { readUsers, type InputOptions } from "../../src/bulk/input/input.ts";
import { INSTANCE_FIELDS } from "../../src/customers/instances.ts";
import { CliError } from "../../src/errors.ts";
import { RUN_FIELDS } from "../../src/runs/run.ts";
import { csvLine } from "../../src/terminal/csv.ts";
import { sanitize } from "../../src/terminal/sanitize.ts";

const I1 = "d0000000-0000-4000-8000-000000000001";
const I2 = "d0000000-0000-4000-8000-000000000002";

const read = async (text: string, options?: InputOptions, name = "users") =>
  (await readUsers(text, name, options)).entries;
const names = async (text: string, options?: InputOptions, name?: string) =>
  (await read(text, options, name)).map(({ named, line }) => [named, line]);

async function refusal(text: string, options?: InputOptions, name?: string): Promise<CliError> {
  const error: unknown = await read(text, options, name).catch((thrown: unknown) => thrown);
  if (error instanceof CliError && error.kind === "usage") return error;
  throw new Error(`no usage error: ${JSON.stringify(error)}`);
}

describe("one user a line", () => {
  it("skips blank lines and comments, and takes what surrounds a user for nothing", async () => {
    const text = `\ufeff# stuck since noon\r\n\r\n  jane@example.com \r\n\t\r\noauth/google:108\n#bob@example.com\n${I1}`;
    expect(await names(text)).toEqual([
      ["jane@example.com", 3],
      ["oauth/google:108", 5],
      [I1, 7],
    ]);
    expect((await read("jane@example.com"))[0]).toEqual({
      named: "jane@example.com",
      instance: null,
      line: 1,
      fields: {},
    });
  });

  it("counts all lines that name no one user, and lists the first ten", async () => {
    const bad = Array.from({ length: 12 }, (_, index) => `jane doe ${index}`);
    const error = await refusal(["a@example.com", ...bad].join("\n"), {}, "stuck.txt");
    expect(error.message).toBe("12 lines of stuck.txt cannot be used; nothing was sent");
    expect(error.hints).toHaveLength(11);
    expect(error.hints[0]).toBe(
      'line 2: "jane doe 0" is not one user: there is white space or a control character in it',
    );
    expect(error.hints.at(-1)).toBe("and 2 more");
    expect((await refusal("x".repeat(400))).hints[0]).toContain("too long for a user: 400 characters");
  });

  it("wants somebody to be named, and no columns", async () => {
    for (const text of ["", "\ufeff", "# nobody\n\n", "user\n", "[]", "user,instance\n,\n"]) await refusal(text);
    expect((await refusal("a@example.com", { userColumn: "who" })).message).toContain("no columns");
  });
});

describe("CSV", () => {
  it("takes quotes, line ends in cells, and gives the line where a record begins", async () => {
    const text = '\ufeffwho,email,note\r\n1,jane@example.com,"two\r\nlines, ""quoted"""\r\n\r\n2,bob@example.com,\r\n';
    expect(await read(text, {}, "x.csv")).toEqual([
      {
        named: "jane@example.com",
        instance: null,
        line: 2,
        fields: { who: "1", email: "jane@example.com", note: 'two\r\nlines, "quoted"' },
      },
      { named: "bob@example.com", instance: null, line: 5, fields: { who: "2", email: "bob@example.com", note: "" } },
    ]);
  });

  it.each<[string, InputOptions, string, string | null]>([
    ["EMAIL,user\na@x,b@x", {}, "b@x", null],
    ["Email,userId\na@x,b", {}, "a@x", null],
    ["userEmail,userId\n,b", {}, "b", null],
    ["name,mail\nJane Doe,a@x", { userColumn: "Mail" }, "a@x", null],
    [`email,instance_id\na@x,${I1.toUpperCase()}`, {}, "a@x", I1],
    [`email,box\na@x,${I1}`, { instanceColumn: "box" }, "a@x", I1],
    [`instanceId\n${I1}`, {}, I1, I1],
    ["email,instance\na@x,", {}, "a@x", null],
  ])("%j with %j", async (text, options, named, instance) => {
    expect(await read(text, options)).toMatchObject([{ named, instance }]);
  });

  it("keeps the fields that are needed, and says which there are", async () => {
    const input = await readUsers("email,a,b,__proto__\nx@y,1,2,3", "x.csv", { fields: ["b", "__proto__", "c"] });
    expect(Object.entries(input.entries[0]?.fields ?? {})).toEqual([
      ["b", "2"],
      ["__proto__", "3"],
    ]);
    expect(input.columns).toEqual(["email", "a", "b", "__proto__"]);
  });

  it.each([
    ["email,n\nx@y,1\nx@z\n", 'line 3: it has 1 cell, and the header line has 2: "x@z"'],
    ["email;n\nx@y;1;2\n", 'line 2: it has 3 cells, and the header line has 2: "x@y;1;2"'],
    ["email,n\n,1\n", "line 2: it names no user and no instance"],
    ["email,instance\nx@y,7\n", 'line 2: "7" is not an instance ID (a UUID)'],
    ['email,n\nx@y,1\n"x@z,1\nx@a,2\n', `line 3: unclosed quotation mark; the rest of the file was not read: ""x@z,1"`],
    ['email,n\nx@y,"a"b\n', `line 2: misplaced quotation mark; the rest of the file was not read: "x@y,"a"b"`],
    ["email,a,a\nx@y,1,2\n", 'line 1: there are two columns "a"'],
  ])("%j", async (text, hint) => {
    expect((await refusal(text, { format: "csv" })).hints).toContain(hint);
  });

  it("says which columns there are when none will do", async () => {
    const error = await refusal("\nname;phone\nJane;123", {}, "x.csv");
    expect(error.message).toBe('x.csv, line 2: no column names the user; there are: "name", "phone"; nothing was sent');
    const headless = await refusal("a@x,Jane\nb@x,Bob", {}, "x.csv");
    expect(headless.message).toBe(
      'x.csv, line 1: no column names the user; there are: "a@x", "Jane"; nothing was sent',
    );
    expect(headless.hints).toEqual(["a file with columns needs a header line, such as: email,name"]);
    expect((await refusal("a@x,Jane\nb@x,Bob")).hints[0]).toBe(
      'line 1: "a@x,Jane" is not one user: a file with columns needs a header line, such as: email,name',
    );
    expect((await refusal("email,n\na@x,1", { userColumn: "mail" }, "x.csv")).message).toContain(
      'there is no column "mail"; there are: "email", "n"',
    );
  });
});

describe("what people's programs write", () => {
  it.each([
    ["Name;E-Mail\nDoe, Jane;a@x\n", "a@x"],
    ["Name\tEmail Address\nJane\ta@x\n", "a@x"],
    ["id,user_email\n7,a@x\n", "a@x"],
    ['"No."; "Customer e-mail"\r\n"1"; "a@x"\r\n', "a@x"],
    ["sep=;\r\nemail;note\r\na@x;1,5\r\n", "a@x"],
    ["EMAIL,\na@x,\n", "a@x"],
    ["email\na@x,,\n", "a@x"],
    ["admin email,email\nb@x,a@x\n", "a@x"],
    ['email\n"<a@x>"\n', "a@x"],
  ])("%j", async (text, named) => {
    for (const name of ["x.csv", "x.tsv", "standard input"]) {
      expect(await read(text, {}, name)).toMatchObject([{ named, line: text.split("\n").length - 1 }]);
    }
  });

  it("has quotes, commas and names around addresses", async () => {
    const text = `"a@x",\n'b@x';\n\u201cc@x\u201d\nJane Doe <d@x>,\n<e@x>\no'brien@x`;
    expect(await names(text)).toEqual(["a@x", "b@x", "c@x", "d@x", "e@x", "o'brien@x"].map((one, at) => [one, at + 1]));
    expect((await read(text))[0]?.fields).toEqual({});
  });

  it("is UTF-16, too", () => {
    const text = "E-Mail\tName\r\na@x\tZo\u00eb \ud83d\ude00\r\n";
    const little = Buffer.from(`\ufeff${text}`, "utf16le");
    const inEachOrder = [
      little,
      Buffer.from(little).swap16(),
      little.subarray(2),
      Buffer.from(little.subarray(2)).swap16(),
    ];
    for (const bytes of inEachOrder) expect(decodeList(bytes).replace("\ufeff", "")).toBe(text);
    expect(decodeList(Buffer.from(`\ufeff${text}`))).toBe(text);
    expect(decodeList(Buffer.from(""))).toBe("");
  });

  it("is named by the line where it is neither", () => {
    const bytes = Buffer.from("email,name\na@x,Jane\nb@x,Zo\u00eb\n", "latin1");
    expect(() => decodeList(bytes)).toThrow(/^line 3 is not UTF-8 \("b@x,Zo\u00eb"\): save it as "CSV UTF-8"/);
  });
});

describe("JSON and JSON lines", () => {
  it("take scalars, and count items where there are no lines", async () => {
    const objects = [
      { userEmail: "a@x", exitCode: 1, note: null, nested: { a: 1 } },
      { userEmail: null, userId: "u" },
    ];
    const fields = { userEmail: "a@x", exitCode: "1", note: "" };
    const jsonl = `${objects.map((object) => JSON.stringify(object)).join("\n\n")}\n`;
    expect(await read(jsonl)).toMatchObject([
      { named: "a@x", line: 1, fields },
      { named: "u", line: 3 },
    ]);
    expect(Object.keys((await read(jsonl))[0]?.fields ?? {})).toEqual(Object.keys(fields));
    expect(await read(JSON.stringify(objects, null, 2))).toMatchObject([
      { named: "a@x", line: null, fields },
      { named: "u" },
    ]);
  });

  it.each([
    ['{"user":"a@x"}\n{"user":', "line 2: not JSON: "],
    ['{"user":"a@x"}\n["b"]', 'line 2: "["b"]" is not a JSON object'],
    ['{"user":"a@x"}\n{"user":{"id":1}}', 'line 2: its "user" is not a text'],
    ['{"user":"a@x"}\n{"name":"b"}', 'line 2: no column names the user; there are: "name"'],
    ['[{"user":"a@x"},7]', 'item 2: "7" is not a JSON object'],
    ["[1", "the whole text: not JSON: "],
  ])("%j", async (text, hint) => {
    expect((await refusal(text)).hints[0]).toContain(hint);
  });
});

describe("how it is written", () => {
  it.each<[string, string, number]>([
    ["users.txt", "email,name\na@x,A", 1],
    ["standard input", '"email","name"\na@x,A', 1],
    ["standard input", "userEmail\na@x", 1],
    ["standard input", '\n{"user":"a@x"}', 1],
    ["users.json", '{"user":"a@x"}\n{"user":"b@x"}', 2],
    ["users.json", '[{"user":"a@x"}]', 1],
    ["users.NDJSON", '{"user":"a@x"}', 1],
    ["users.csv", "email\na@x", 1],
    ["users.txt", "a@x\nb@x", 2],
  ])("is told from %s and %j", async (name, text, count) => {
    expect(await read(text, {}, name)).toHaveLength(count);
  });

  it("is what the user says", async () => {
    expect(await names("email\na@x", { format: "lines" })).toEqual([
      ["email", 1],
      ["a@x", 2],
    ]);
  });
});

/** Texts with what CSV and spreadsheets trip over. */
const cell = fc.string({ unit: fc.constantFrom("a", "=", "+", "-", "@", '"', ",", "\n", "\r", "\t", " ", "ü", "😀") });

/** One record in each form. */
const forms = (names: readonly string[], row: Record<string, unknown>) => ({
  csv: `${csvLine(names)}\n${csvLine(names.map((name) => row[name]))}\n`,
  jsonl: `${JSON.stringify(row)}\n`,
  json: JSON.stringify([row], null, 2),
});

describe("our own lists", () => {
  it("come back from CSV as they were shown, formula guards and all", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(cell, { minLength: 1, maxLength: 5 }), async (notes) => {
        const lines = notes.map((note, at) => csvLine([`u${at}@x`, note, null]));
        const head = csvLine(["userEmail", "note", "none"]);
        const entries = await read([head, ...lines].join("\n"), {}, "x.csv");
        const lineOf = (at: number) => [head, ...lines.slice(0, at), ""].join("\n").split(/\r\n|\r|\n/).length;
        expect(entries.map(({ named, fields, line }) => [named, fields.note, fields.none, line])).toEqual(
          notes.map((note, at) => [`u${at}@x`, sanitize(note), "", lineOf(at)]),
        );
      }),
    );
  });

  it("name users and instances in every form", async () => {
    const run = forms(RUN_FIELDS, {
      id: I2,
      userId: "u",
      userEmail: "a@x",
      instanceId: I1,
      prompt: "=a\n,",
      exitCode: 1,
    });
    const instance = forms(INSTANCE_FIELDS, { id: I1, userId: "u", userEmail: "a@x", sandboxId: "ki_1" });
    for (const text of [...Object.values(run), ...Object.values(instance)]) {
      expect(await read(text)).toMatchObject([{ named: "a@x", instance: I1 }]);
    }
  });
});
