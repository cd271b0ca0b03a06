/** What this machine itself knows: profiles, settings, playbooks and its jobs. */
import { jobJournals, jobRecord } from "../bulk/job/job.ts";
import { configPath, readConfig } from "../config/config-file.ts";
import { DEFAULT_PROFILE, isKey, KEYS, settingOf } from "../config/settings-table.ts";
import type { Sources } from "../config/settings.ts";
import { PLAYBOOK_NAME } from "../journal/record.ts";
import { settingsInForce } from "../meant-platform.ts";
import { playbookFiles } from "../playbooks/folder.ts";
import type { Candidate } from "./candidates.ts";

const MAX_JOBS = 30;

export async function profiles(configDirectory: string): Promise<Candidate[]> {
  const config = await readConfig(configDirectory);
  const names = new Set([DEFAULT_PROFILE, ...Object.keys(config.profiles)]);
  return [...names].map((value) => ({ value, description: config.profiles[value]?.host ?? "" }));
}

export function settings(): Candidate[] {
  return KEYS.map((value) => ({ value, description: settingOf(value).summary }));
}

/** The values that a setting can have, where those can be listed. */
export async function settingValues(setting: string | undefined, configDirectory: string): Promise<Candidate[]> {
  if (setting === "profile") return profiles(configDirectory);
  const values = setting !== undefined && isKey(setting) ? (settingOf(setting).values ?? []) : [];
  return values.map((value) => ({ value, description: "" }));
}

/** The playbooks of the profile, by their files' names alone. */
export async function playbooks(configDirectory: string, given: Pick<Sources, "env" | "flags">): Promise<Candidate[]> {
  const config = await readConfig(configDirectory);
  const folder = settingsInForce({ ...given, config, path: configPath(configDirectory) }).get("playbooks").value;
  const files = folder === undefined ? [] : await playbookFiles(folder);
  return files.flatMap(({ name }) => (PLAYBOOK_NAME.test(name) ? [{ value: name, description: "" }] : []));
}

/** This machine's jobs, newest first. */
export async function jobs(stateDirectory: string): Promise<Candidate[]> {
  const newest = (await jobJournals(stateDirectory)).slice(-MAX_JOBS).toReversed();
  const found = newest.map(async (file): Promise<Candidate> => {
    const description = await jobRecord(file).then(
      ({ total, at }) => `${total} ${total === 1 ? "target" : "targets"}, ${minute(at)}`,
      () => "",
    );
    return { value: file.id, description };
  });
  return [{ value: "@latest", description: "the newest job" }, ...(await Promise.all(found))];
}

/** `2026-11-30 19:35 UTC` */
function minute(at: string): string {
  return `${at.slice(0, 16).replace("T", " ")} UTC`;
}
