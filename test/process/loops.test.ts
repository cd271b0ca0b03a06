/** The loops that the manual shows, typed as they stand there: each customer gets one run, and its ID comes out. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openDesk, root, type Desk } from "../harness.ts";
import { lacks } from "../support/lacks.ts";

const EACH = 3;
const PROMPT = `it's "stuck"; $(touch /tmp/never) [rehearse lines=1 interval=0.05]`;
const LOOPS = (await readFile(join(root, "src", "help", "starting.md"), "utf8"))
  .split("\n")
  .filter((line) => ["stuck.txt", '-p "$PROMPT"', " -q"].every((part) => line.includes(part)))
  .map((line) => line.replace(/\s+#.*$/, ""));

let desk: Desk;
let bin: string;
beforeAll(async () => {
  desk = await openDesk({ extraUsers: LOOPS.length * EACH });
  bin = join(desk.configDir, "bin");
  await mkdir(bin);
  const program = join(bin, "kiloclaw-admin");
  await writeFile(program, `#!/bin/sh\nexec "${process.execPath}" "${join(root, "bin", "kiloclaw-admin.js")}" "$@"\n`);
  await chmod(program, 0o755);
});
afterAll(() => desk.close());

it("are a for, a while, xargs, parallel, and a job", () => {
  expect(LOOPS.map((line) => line.split(" ")[0])).toEqual(["for", "while", "xargs", "parallel", "kiloclaw-admin"]);
});

it.skipIf(lacks("shell")).for(LOOPS.map((line, number) => [line, number] as const))(
  "%s",
  async ([line, number], { skip }) => {
    if (line.startsWith("parallel") && spawnSync("parallel", ["--version"]).status !== 0)
      skip("GNU parallel is not here");
    const users = Array.from(
      { length: EACH },
      (_, at) => `user${String(number * EACH + at + 1).padStart(4, "0")}@load.example.com`,
    );
    const folder = join(desk.configDir, `loop-${number}`);
    await mkdir(folder);
    await writeFile(join(folder, "stuck.txt"), `${users.join("\n")}\n`);
    const child = spawn("bash", ["-c", line], {
      cwd: folder,
      env: {
        PATH: `${bin}:${process.env.PATH}`,
        HOME: desk.configDir,
        KILOCLAW_ADMIN_CONFIG_DIR: desk.configDir,
        ...desk.env,
        PROMPT,
      },
      // What is left of it, a command in the loop would take away from the loop.
      stdio: ["pipe", "pipe", "pipe"],
    });
    const [stdout, stderr] = [text(child.stdout), text(child.stderr)];
    const [code] = (await once(child, "close")) as [number];
    expect({ code, stderr: await stderr }).toEqual({ code: 0, stderr: "" });
    const rows = (await Promise.all(users.map((user) => desk.rows(user)))).flat();
    expect(rows.map(({ user_email, prompt }) => [user_email, prompt])).toEqual(users.map((user) => [user, PROMPT]));
    expect((await stdout).trimEnd().split("\n").toSorted()).toEqual(rows.map(({ id }) => id).toSorted());
  },
);
