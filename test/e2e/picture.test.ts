/** The README's picture is what a terminal shows today: `npm run docs` draws it anew. */
import { join } from "node:path";
import { expect, it } from "vitest";
import { openDesk, root } from "../harness.ts";
import { linesLeft, PICTURE_COLUMNS, terminalPicture } from "../support/terminal-picture.ts";

const RUN = "3f2a91c4-5d0e-4b7a-9c16-2e8d7a40b9f3";
const CUSTOMER = "jane@example.com";
const typed = (words: string) => `\u001b[2m$\u001b[0m \u001b[1mkiloclaw-admin ${words}\u001b[0m`;

it("is up to date", async () => {
  const desk = await openDesk();
  try {
    const env = { FORCE_COLOR: "1" };
    const look = { tty: true, columns: PICTURE_COLUMNS, env };
    const start = ["runs", "start", "--user", CUSTOMER, "-p", "gateway crash-loops", "--watch"];
    const watched = await desk.run(start, look);
    expect(watched.code).toBe(0);
    const [run] = await desk.rows(CUSTOMER);
    if (!run) throw new Error("no run was started");
    const listed = await desk.run(["runs", "list", "--since", "1h"], look);
    const audit = await desk.run(["audit", "list", "--user", CUSTOMER], look);

    const said = linesLeft(watched.stderr).filter((line) => line !== "");
    const end = said.findIndex((line) => /completed.* run /.test(line));
    const lines = [
      typed(`runs start --user ${CUSTOMER} -p "gateway crash-loops" --watch`),
      ...said.slice(0, end),
      ...linesLeft(watched.stdout).filter((line) => line !== ""),
      ...said.slice(end),
      "",
      typed("runs list --since 1h"),
      ...linesLeft(listed.stdout),
      "",
      typed(`audit list --user ${CUSTOMER}`),
      ...linesLeft(audit.stdout),
    ].map((line) =>
      line
        .replaceAll(run.id, RUN)
        .replaceAll(run.id.slice(0, 8), RUN.slice(0, 8))
        .replaceAll(/(?<=broken-)\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ/g, "2026-11-22T09-30-00Z")
        .replaceAll(/(?:\b\d+s ago|just now) +/g, "3s ago   ")
        .replaceAll(/WHEN(\S*) +/g, "WHEN$1     ")
        .replaceAll(/\b\d+m?s {2,}/g, "3s    ")
        .replaceAll(/\b\d+m?s\b(?! ago)/g, "3s"),
    );
    expect(lines.length).toBeGreaterThan(12);
    const picture = terminalPicture("A customer's instance is repaired, watched live, and found in the lists", lines);
    await expect(picture).toMatchFileSnapshot(join(root, ".github", "pictures", "session.svg"));
  } finally {
    await desk.close();
  }
});
