/** What is published: nothing that was not meant to be, and with the names of those whose code is in it. */
import { execFile } from "node:child_process";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { rolldown } from "rolldown";
import { expect, it } from "vitest";
import * as z from "zod";
import { BUNDLE } from "../../src/bundle.mjs";
import { root } from "../harness.ts";

const packed = z.tuple([z.object({ files: z.array(z.object({ path: z.string() })) })]);

/** The files that `npm publish` would take from a folder. */
async function filesPacked(folder: string): Promise<string[]> {
  const argv = ["pack", "--dry-run", "--json", "--ignore-scripts"];
  const { stdout } = await promisify(execFile)("npm", argv, {
    cwd: folder,
    maxBuffer: 2 ** 24,
    shell: process.platform === "win32",
  });
  return packed.parse(JSON.parse(stdout))[0].files.map(({ path }) => path);
}

it("is the launcher, the bundle, its notices, the manual and the pages for people: so say `files` and .npmignore", async () => {
  const files = await filesPacked(root);
  const pages = (await readdir(join(root, "src", "help"))).map((page) => `src/help/${page}`);
  expect(pages.length).toBeGreaterThan(10);
  expect(files.filter((path) => !path.startsWith("dist/")).toSorted()).toEqual(
    [
      "CHANGELOG.md",
      "LICENSE",
      "README.md",
      "bin/chunks.js",
      "bin/kiloclaw-admin.js",
      "package.json",
      ...pages,
    ].toSorted(),
  );
  const dist = await readdir(join(root, "dist"), { recursive: true, withFileTypes: true });
  expect(files.filter((path) => path.startsWith("dist/"))).toHaveLength(dist.filter((entry) => entry.isFile()).length);
  expect(files).toEqual(expect.arrayContaining(["dist/main.cjs", "dist/schemas.json", "dist/THIRD-PARTY-NOTICES.txt"]));

  const { stdout: schemas } = await promisify(execFile)(process.execPath, [
    join(root, "bin/kiloclaw-admin.js"),
    "help",
    "json",
    "all",
  ]);
  expect(await readFile(join(root, "dist", "schemas.json"), "utf8")).toBe(schemas);

  const copy = await mkdtemp(join(tmpdir(), "kiloclaw-package-"));
  try {
    const left = new Set([".git", "node_modules"]);
    await cp(root, copy, { recursive: true, filter: (path) => !left.has(basename(path)) });
    const { files: _, ...rest } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { files: unknown };
    await writeFile(join(copy, "package.json"), JSON.stringify(rest));
    expect((await filesPacked(copy)).toSorted()).toEqual(files.toSorted());
  } finally {
    await rm(copy, { recursive: true });
  }
});

it("names each package that has code in it, with the text of its licence", async () => {
  const bundle = await rolldown(BUNDLE);
  const { output } = await bundle.generate({ format: "cjs" });
  await bundle.close();
  const folders = new Set(
    output
      .flatMap((file) => (file.type === "chunk" ? Object.keys(file.modules) : []))
      .flatMap((id) => /^.*node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+/.exec(id)?.[0] ?? []),
  );
  expect(folders.size).toBeGreaterThan(50);
  const notices = await readFile(join(root, "dist", "THIRD-PARTY-NOTICES.txt"), "utf8");
  const parts = new Map(
    notices.split(`\n${"=".repeat(100)}\n\n`).map((part) => [part.slice(0, part.indexOf(" (")), part] as const),
  );
  const lacking = [];
  for (const folder of folders) {
    const text = await readFile(join(folder, "package.json"), "utf8");
    const { name, version, license } = JSON.parse(text) as { name: string; version: string; license: string };
    const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry));
    // A package without such a file says it in its README, or only by the licence's name.
    const words =
      file === undefined
        ? /^(Permission is hereby granted|Apache License$)/m
        : (await readFile(join(folder, file), "utf8")).trim().replaceAll("\r\n", "\n");
    const part = parts.get(`${name} ${version}`) ?? "";
    if (
      !part.startsWith(`${name} ${version} (${license})\n`) ||
      !(typeof words === "string" ? part.includes(words) : words.test(part))
    )
      lacking.push(folder);
  }
  expect(lacking).toEqual([]);
});
