import type { KindTable } from "../../completion/candidates.ts";

/**
 * What the values of all commands are, by what help calls them (`<run>`, `[runs...]`), or by the option that takes them. A value that
 * is not here, nor has choices, can be anything.
 */
export const VALUE_KINDS: KindTable = {
  run: ["run"],
  runs: ["run"],
  user: ["user"],
  email: ["user"],
  // As an argument, a user with one active instance stands for it.
  instance: ["instance", "user"],
  "--instance": ["instance"],
  "--fields": ["field"],
  "--run": ["run"],
  "--profile": ["profile"],
  job: ["job"],
  // Other machines' are named by their files.
  jobs: ["job", "file"],
  playbook: ["playbook"],
  "--playbook": ["playbook"],
  key: ["setting"],
  value: ["setting-value"],
  words: ["topic"],
  procedure: ["procedure"],
  file: ["file"],
  dir: ["directory"],
};
