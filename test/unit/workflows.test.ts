/** The repository's workflows can be read, run what there is, and try the versions of Node that the package promises. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { parse } from "yaml";
import * as z from "zod";
import { BUNDLE } from "../../src/bundle.mjs";
import { root } from "../harness.ts";

const workflow = z.object({
  name: z.string(),
  on: z.record(z.string(), z.unknown()),
  jobs: z.record(
    z.string(),
    z.object({
      "runs-on": z.string(),
      strategy: z.object({ matrix: z.object({ node: z.array(z.string()).optional() }) }).optional(),
      steps: z.array(z.union([z.object({ uses: z.string().regex(/@v\d+$/) }), z.object({ run: z.string() })])),
    }),
  ),
});

const FOLDER = join(root, ".github", "workflows");
const WORKFLOWS = readdirSync(FOLDER).map((name) => workflow.parse(parse(readFileSync(join(FOLDER, name), "utf8"))));
const JOBS = WORKFLOWS.flatMap(({ jobs }) => Object.values(jobs));
const { engines, scripts } = z
  .object({ engines: z.object({ node: z.string() }), scripts: z.record(z.string(), z.string()) })
  .parse(JSON.parse(readFileSync(join(root, "package.json"), "utf8")));

it("are two, and the forms for issues can be read, too", () => {
  expect(WORKFLOWS.map(({ name }) => name)).toEqual(["ci", "release"]);
  const forms = join(root, ".github", "ISSUE_TEMPLATE");
  for (const name of readdirSync(forms))
    expect(parse(readFileSync(join(forms, name), "utf8"))).toMatchObject({ name: expect.any(String) });
});

it("run scripts that there are", () => {
  const lines = JOBS.flatMap(({ steps }) => steps).flatMap((step) => ("run" in step ? step.run : []));
  const run = lines.flatMap((line) => /^npm (?:run )?(test\b[\w:]*|(?<=run )[\w:]+)/.exec(line)?.[1] ?? []);
  expect(run.toSorted()).toEqual(["campaign", "check", "test"]);
  expect(run.filter((name) => !(name in scripts))).toEqual([]);
});

it("try the oldest Node that the package allows, and each line of versions that it names", () => {
  const tried = JOBS.flatMap(({ strategy }) => strategy?.matrix.node ?? []);
  const oldest = engines.node.split(" || ").map((range) => /(\d+)\.(\d+)/.exec(range) ?? []);
  expect(tried[0]).toBe(oldest[0]?.[0]);
  expect(tried.map((version) => version.split(".")[0])).toEqual(
    expect.arrayContaining(oldest.map(([, major]) => major)),
  );
  expect(BUNDLE.transform?.target).toBe(`node${tried[0]}`);
});
