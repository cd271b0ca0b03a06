import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { resolveShard, SHARD_VARIABLES } from "../../src/bulk/plan/schedulers.ts";
import { askedHash, isInShard, parseShard, shardKey } from "../../src/bulk/plan/shard.ts";
import type { Environment } from "../../src/environment.ts";
import { CliError } from "../../src/errors.ts";
import { ENVIRONMENTS } from "../support/schedulers.ts";

it("puts every key into exactly one slice", () => {
  fc.assert(
    fc.property(fc.string(), fc.integer({ min: 1, max: 40 }), (key, of) => {
      const slices = Array.from({ length: of }, (_, index) => ({ number: index + 1, of }));
      expect(slices.filter((slice) => isInShard(key, slice))).toHaveLength(1);
    }),
  );
});

it("makes slices of about the same size, and the same ones for ever", () => {
  const keys = Array.from(
    { length: 4_000 },
    (_, index) => `d0000000-0000-4000-8000-${String(index).padStart(12, "0")}`,
  );
  for (const number of [1, 2, 3, 4]) {
    const size = keys.filter((key) => isInShard(key, { number, of: 4 })).length;
    expect(Math.abs(size - 1_000)).toBeLessThan(120);
  }
  // Machines of one job may run different versions of this tool.
  expect(keys.slice(0, 12).map((key) => [1, 2, 3].find((number) => isInShard(key, { number, of: 3 })))).toEqual([
    3, 1, 2, 1, 1, 2, 2, 1, 3, 1, 2, 2,
  ]);
});

it.each([
  ["1/1", { number: 1, of: 1 }],
  ["3/4", { number: 3, of: 4 }],
  ["0/4", undefined],
  ["5/4", undefined],
  ["1/0", undefined],
  ["1/10001", undefined],
  ["1", undefined],
  ["-1/4", undefined],
  ["1/4 ", undefined],
  ["auto/4", { number: "auto", of: 4 }],
  ["auto/0", undefined],
  ["auto/10001", undefined],
  ["AUTO/4", undefined],
])("reads %j", (text, shard) => expect(parseShard(text)).toEqual(shard));

it("cuts by how an entry was named, in any case, and by nothing else", () => {
  expect(shardKey({ named: "Jane@Example.com", instance: null })).toBe(
    shardKey({ named: "jane@example.COM", instance: null }),
  );
  expect(shardKey({ named: "a", instance: "B" })).toBe(shardKey({ named: "A", instance: "b" }));
  expect(shardKey({ named: "a", instance: "b" })).not.toBe(shardKey({ named: "a", instance: null }));
  expect(shardKey({ named: "ab", instance: null })).not.toBe(shardKey({ named: "a", instance: "b" }));
});

const entry = (named: string, instance: string | null = null, fields = {}) => ({ named, instance, line: 1, fields });

it("knows what was asked by its entries in their order, the prompt and the number of slices", () => {
  const asked = askedHash([entry("a"), entry("b")], "fix", 4);
  // Where the list stands in its file does not matter.
  expect(askedHash([{ ...entry("a"), line: 7 }, entry("b")], "fix", 4)).toBe(asked);
  const others = [
    askedHash([entry("b"), entry("a")], "fix", 4),
    askedHash([entry("a")], "fix", 4),
    askedHash([entry("a"), entry("b", "i")], "fix", 4),
    askedHash([entry("a"), entry("b", null, { fault: "x" })], "fix", 4),
    askedHash([entry("a"), entry("b")], "fix it", 4),
    askedHash([entry("a"), entry("b")], "fix", 3),
  ];
  expect(new Set([asked, ...others]).size).toBe(1 + others.length);
});

const auto = (of: number, env: Environment) => resolveShard({ number: "auto", of }, env);

function outcome<T>(work: () => T): T | CliError {
  try {
    return work();
  } catch (error) {
    if (error instanceof CliError) return error;
    throw error;
  }
}

describe("--shard auto/N", () => {
  const of = fc.integer({ min: 1, max: 10_000 });
  const machine = of.chain((all) => fc.tuple(fc.integer({ min: 0, max: all - 1 }), fc.constant(all)));
  const scheduler = fc.constantFrom(...Object.values(ENVIRONMENTS));

  it.each(Object.entries(ENVIRONMENTS))("gives each machine of %s a slice of its own", (_, environment) => {
    const numbers = [0, 1, 2, 3].map((slot) => auto(4, environment(slot, 4)));
    expect(numbers).toEqual([1, 2, 3, 4].map((number) => ({ number, of: 4 })));
  });

  it("is the slice that all schedulers agree on, or the one that a person has set", () => {
    fc.assert(
      fc.property(
        machine,
        scheduler,
        scheduler,
        fc.dictionary(fc.string(), fc.string()),
        ([slot, all], one, another, other) => {
          const noise = Object.fromEntries(
            Object.entries(other).flatMap(([name, value]) => (SHARD_VARIABLES.includes(name) ? [] : [[name, value]])),
          );
          expect(auto(all, { ...noise, ...one(slot, all), ...another(slot, all) })).toEqual({
            number: slot + 1,
            of: all,
          });
          expect(auto(all, { ...one(0, all + 1), KILOCLAW_ADMIN_SHARD: `${slot}` })).toEqual({
            number: slot + 1,
            of: all,
          });
        },
      ),
    );
  });

  it("is a slice, or a usage error that says what to type, whatever the variables are", () => {
    const values = fc.oneof(fc.constantFrom("", " ", "0", "1", "3", "4", "-1", "1.5", "0x2", "1e3"), fc.string());
    const environment = fc.dictionary(fc.constantFrom(...SHARD_VARIABLES), values);
    fc.assert(
      fc.property(of, environment, (all, env) => {
        const found = outcome(() => auto(all, env));
        const isSlice = "number" in found && found.number >= 1 && found.number <= all;
        const isRefused =
          "kind" in found && found.kind === "usage" && found.message.startsWith(`--shard auto/${all}: `);
        expect(isSlice || (isRefused && found.hints.join(" ").includes(`--shard 1/${all}`))).toBe(true);
      }),
    );
  });

  it.each<[Environment, RegExp]>([
    [{}, /none of KILOCLAW_ADMIN_SHARD, JOB_COMPLETION_INDEX, CI_NODE_INDEX, .* is set; nothing was sent/],
    [{ KILOCLAW_ADMIN_SHARD: "", CI_NODE_TOTAL: "4" }, /none of .* is set/],
    [{ JOB_COMPLETION_INDEX: "4" }, /JOB_COMPLETION_INDEX is 4, which is not from 0 to 3/],
    [{ CI_NODE_INDEX: "0" }, /CI_NODE_INDEX is 0, which is not from 1 to 4/],
    [{ CI_NODE_INDEX: "1", CI_NODE_TOTAL: "5" }, /CI_NODE_TOTAL is 5/],
    [{ JOB_COMPLETION_INDEX: "one" }, /JOB_COMPLETION_INDEX is "one", which is not a whole number/],
    [
      { JOB_COMPLETION_INDEX: "1", CI_NODE_INDEX: "1" },
      /JOB_COMPLETION_INDEX says slice 2, and CI_NODE_INDEX says slice 1/,
    ],
    [{ SLURM_ARRAY_TASK_ID: "7" }, /SLURM_ARRAY_TASK_MIN is not set/],
    [
      { SLURM_ARRAY_TASK_ID: "7", SLURM_ARRAY_TASK_MIN: "5", SLURM_ARRAY_TASK_COUNT: "3" },
      /SLURM_ARRAY_TASK_COUNT is 3/,
    ],
    [{ KILOCLAW_ADMIN_SHARD: "-1", JOB_COMPLETION_INDEX: "1" }, /KILOCLAW_ADMIN_SHARD is "-1"/],
  ])("%j is refused", (env, words) => expect(() => auto(4, env)).toThrow(words));

  it("leaves a slice that was typed alone", () => {
    expect(resolveShard({ number: 2, of: 4 }, { JOB_COMPLETION_INDEX: "0" })).toEqual({ number: 2, of: 4 });
  });
});
