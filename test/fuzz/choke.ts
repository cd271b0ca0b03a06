/** The tool's one way to a screen, with the screen replaced: what was written to it can be looked at. */
import { PassThrough } from "node:stream";
import type { Host } from "../../src/terminal/host.ts";
import { Output } from "../../src/terminal/output.ts";
import type { View } from "../../src/terminal/rows.ts";
import { QUICK } from "../support/timing.ts";

// Its shape is none that the tool prints.
const shape = "page" as never;
const view: View<{ readonly text: string }> = { shape, fields: ["text"], id: ({ text }) => text };

export interface ChokedScreen {
  /** What reaches the terminal of a run's output that comes in these pieces. */
  output(pieces: readonly string[]): string;
  /** What reaches it of a text in the tool's own words: a note, a warning, a table, an ID, an event, a heading. */
  words(text: string): Promise<string[]>;
}

export async function screenOf({ colors }: { colors: boolean }): Promise<ChokedScreen> {
  let written = "";
  const sink = { isTTY: true, columns: 100, rows: 30, write: (text: string) => ((written += text), true) };
  const none = new AbortController().signal;
  const host: Host = {
    env: {},
    stdin: new PassThrough(),
    stdout: sink,
    stderr: sink,
    cwd: "/",
    pid: 1,
    platform: "linux",
    nodePath: "node",
    nodeVersion: "v20",
    root: "/",
    version: "0",
    timing: QUICK,
    ranForMs: () => 0,
    stop: none,
    closed: none,
    lendTerminal: (work) => work(),
    onResize: () => undefined,
    isPiped: false,
    onSuspend: () => undefined,
    takeKeys: () => () => undefined,
    onExit: () => undefined,
  };
  const open = (format: "table" | "jsonl" | "yaml" | "id" | "csv", color: "always" | "never") =>
    Output.create(host, { format, quiet: false, fields: undefined, color, utc: false, platformFlags: {} });
  const outputs = await open("table", colors ? "always" : "never");
  const taken = () => {
    const text = written;
    written = "";
    return text;
  };
  return {
    output: (pieces) => {
      const stream = outputs.untrusted();
      for (const piece of pieces) stream.write(piece);
      stream.end();
      return taken();
    },
    words: async (text) => {
      const plain = await open("table", "never");
      plain.note(text);
      plain.warn(text);
      plain.line(text);
      plain.relayed("who", text);
      plain.headline("red", text, text);
      plain.notes([{ label: "text", value: text }]);
      plain.event({ text });
      await plain.header([{ label: "text", value: text }]);
      const all = [taken()];
      for (const format of ["table", "jsonl", "yaml", "id", "csv"] as const) {
        await (await open(format, "never")).list([{ text }], view, "");
        all.push(taken());
      }
      return all;
    },
  };
}
