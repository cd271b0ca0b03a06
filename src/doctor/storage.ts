import { mkdir, readdir, rm, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "../errors.ts";
import { flawsOnTheWay } from "../files/trust.ts";
import { closeCommand, holderWords, instanceHolders, journalHolders, takeOverCommand } from "../journal/claim.ts";
import { OpenIndex } from "../journal/open-index.ts";
import { isSame } from "../journal/process-identity.ts";
import { command, hint } from "../typed-command.ts";
import { fail, ok, warn, type Check, type Finding } from "./check.ts";
import { typed } from "./presentable.ts";

const MB = 1_000_000;
const GB = 1_000 * MB;

export const STORAGE: readonly Check[] = [
  {
    stage: "storage",
    name: "state-directory",
    look: async ({ setup: { paths } }) => {
      const probe = join(paths.state, `doctor-${crypto.randomUUID()}`);
      try {
        await mkdir(paths.state, { recursive: true, mode: 0o700 });
        await writeFile(probe, "written by kiloclaw-admin doctor, to see whether it can\n", {
          mode: 0o600,
          flush: true,
        });
        await rm(probe);
      } catch (error) {
        await rm(probe, { force: true }).catch(() => undefined);
        return fail(
          `nothing can be written in ${paths.state}: ${messageOf(error)}`,
          `see what is in the way: ls -ld ${typed(paths.state)}`,
          "or use another place: export KILOCLAW_ADMIN_CONFIG_DIR=DIRECTORY",
        );
      }
      const flaws = flawsOnTheWay(paths.state, "state");
      const flaw = flaws.find(({ refused }) => refused) ?? flaws[0];
      if (flaw) return (flaw.refused ? fail : warn)(`${flaw.path}: ${flaw.what}`, flaw.remedy);
      return ok(`${paths.state} can be written`);
    },
  },
  {
    stage: "storage",
    name: "free-space",
    needs: ["state-directory"],
    look: async ({ setup: { paths } }) => {
      const { bavail, bsize } = await statfs(paths.state);
      return freeSpace(bavail * bsize, paths.state);
    },
  },
  {
    stage: "storage",
    name: "journal",
    needs: ["state-directory"],
    look: async ({ setup: { paths } }) => {
      const found = await new OpenIndex(paths.state).find();
      const ops = found.filter(({ writer }) => writer === null).map(({ intent }) => intent.op);
      if (ops.length === 0) return ok("no operation is open");
      const which = ops.length === 1 ? `operation ${ops[0]}` : `${ops.length} operations`;
      return warn(`outcome unknown: ${which}`, hint`find out: ${command("runs reconcile")}`);
    },
  },
  {
    stage: "storage",
    name: "claims",
    needs: ["state-directory"],
    look: async ({ setup: { paths } }) => {
      const [open, journals, instances, jobs] = await Promise.all([
        new OpenIndex(paths.state).find(),
        journalHolders(paths.state),
        instanceHolders(paths.state),
        readdir(join(paths.state, "jobs")).catch((): string[] => []),
      ]);
      const wayOut = (journal: string) =>
        jobs.includes(journal)
          ? [takeOverCommand(journal)]
          : open.filter(({ writer }) => writer?.op === journal).map(({ intent }) => closeCommand(intent));
      const ways = journals
        .filter(({ seen }) => !seen)
        .flatMap((holder) => wayOut(holder.op).map((way) => ({ holder, way })));
      // Whoever sets a process aside gives up all that it has claimed.
      const left = instances.filter(
        ({ seen, process }) => !seen && !ways.some((one) => isSame(one.holder.process, process)),
      );
      const all = [...ways, ...left.map((holder) => ({ holder, way: closeCommand(holder) }))];
      const by = new Set(
        [...journals, ...instances].map((one) => holderWords(one) + (one.seen ? "" : ", not seen from here")),
      );
      if (by.size === 0) return ok("nothing is held");
      const found = `held by ${[...by].join("; ")}`;
      if (all.length === 0) return ok(found);
      return warn(found, ...all.map(({ holder, way }) => hint`if process ${holder.pid} has ended for certain: ${way}`));
    },
  },
];

/** What so many free bytes mean: the output of one run can be a megabyte, a bulk job keeps thousands. */
export function freeSpace(bytes: number, directory: string): Finding {
  const found = `${bytes < GB ? `${Math.floor(bytes / MB)} MB` : `${Math.floor(bytes / GB)} GB`} free`;
  const remedy = `free some space; see what takes it: du -sh ${typed(directory)}`;
  if (bytes < 10 * MB) return fail(found, remedy);
  if (bytes < 100 * MB) return warn(found, remedy);
  return ok(found);
}
