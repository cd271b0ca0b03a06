/** The first steps that the manual tells, typed into a shell of an empty home: each works as it stands. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, it } from "vitest";
import { root } from "../harness.ts";
import { lacks } from "../support/lacks.ts";

let home: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "kiloclaw-newcomer-"));
  const bin = join(home, "bin");
  await mkdir(bin);
  const program = `#!/bin/sh\nexec "${process.execPath}" "${join(root, "bin", "kiloclaw-admin.js")}" "$@"\n`;
  await writeFile(join(bin, "kiloclaw-admin"), program);
  await chmod(join(bin, "kiloclaw-admin"), 0o755);
});
afterAll(() => rm(home, { recursive: true, force: true }));

async function typeInto(script: string): Promise<{ code: number; said: string }> {
  const env = { PATH: `${join(home, "bin")}:${process.env.PATH}`, HOME: home, TMPDIR: tmpdir() };
  const child = spawn("bash", ["-euo", "pipefail", "-c", script], {
    cwd: home,
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [out, err] = [text(child.stdout), text(child.stderr)];
  const [code] = (await once(child, "close")) as [number];
  return { code, said: (await out) + (await err) };
}

it.skipIf(lacks("shell")).each([
  ["getting-started", 3],
  ["sandbox", 1],
] as const)(
  "%s",
  async (page, blocks) => {
    const markdown = await readFile(join(root, "src", "help", `${page}.md`), "utf8");
    const scripts = [...markdown.matchAll(/^```sh\n([^]*?)^```$/gm)].slice(0, blocks).map(([, script = ""]) => script);
    expect(scripts).toHaveLength(blocks);
    try {
      const { code, said } = await typeInto(scripts.join("\n"));
      if (code !== 0) throw new Error(`exit code ${code}: ${said}`);
    } finally {
      await typeInto("kiloclaw-admin sandbox stop || true");
    }
  },
  180_000,
);
