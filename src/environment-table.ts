interface Row {
  /** Several: they mean much the same. */
  readonly names: readonly [string, ...string[]];
  /** `switch`: on or off. `text`: what it says; empty is as good as not set. `own`: as its meaning tells, for others read it so, too. */
  readonly read: "switch" | "text" | "own";
  readonly meaning: string;
}

/** Every environment variable that the tool reads: the type of the environment, `help environment` and the README follow from it. */
export const VARIABLES = [
  {
    names: ["KILOCLAW_ADMIN_TOKEN"],
    read: "text",
    meaning:
      "an admin's token, which takes precedence over a stored one; used for https://app.kilo.ai, and where --host or KILOCLAW_ADMIN_HOST names the platform, not where only a profile does",
  },
  { names: ["KILOCLAW_ADMIN_HOST"], read: "text", meaning: "the platform's address, such as https://app.kilo.ai" },
  { names: ["KILOCLAW_ADMIN_PROFILE"], read: "text", meaning: "the profile to use" },
  { names: ["KILOCLAW_ADMIN_OUTPUT"], read: "text", meaning: "the output format, as for --output" },
  { names: ["KILOCLAW_ADMIN_NO_INPUT"], read: "switch", meaning: "never ask anything" },
  { names: ["KILOCLAW_ADMIN_DEBUG"], read: "switch", meaning: "show each request and what went wrong" },
  { names: ["KILOCLAW_ADMIN_ACCESSIBLE"], read: "switch", meaning: "static lines instead of redrawing" },
  {
    names: ["KILOCLAW_ADMIN_INSECURE_STORAGE"],
    read: "switch",
    meaning: "auth login may keep the token in a file instead of the system's keyring",
  },
  {
    names: ["KILOCLAW_ADMIN_SANDBOX_DATABASE_URL"],
    read: "text",
    meaning: "the sandbox's Postgres server, as --database-url has it, where the address has a password",
  },
  {
    names: ["KILOCLAW_ADMIN_SHARD"],
    read: "text",
    meaning: "with --shard auto/N: the number of this machine's slice, from 0; takes precedence over a scheduler's",
  },
  {
    names: ["JOB_COMPLETION_INDEX"],
    read: "text",
    meaning: "with --shard auto/N: the same, in an Indexed Job of Kubernetes",
  },
  {
    names: ["CI_NODE_INDEX", "CI_NODE_TOTAL"],
    read: "text",
    meaning: "with --shard auto/N: the same in GitLab, from 1, and a total that has to be N",
  },
  {
    names: ["BUILDKITE_PARALLEL_JOB", "BUILDKITE_PARALLEL_JOB_COUNT"],
    read: "text",
    meaning: "with --shard auto/N: the same in Buildkite",
  },
  {
    names: ["SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN"],
    read: "text",
    meaning: "with --shard auto/N: the same in a job array of Slurm; the third is where it begins",
  },
  {
    names: ["AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE"],
    read: "text",
    meaning: "with --shard auto/N: the same in an array job of AWS Batch",
  },
  {
    names: ["KILOCLAW_ADMIN_CONFIG_DIR"],
    read: "text",
    meaning: "where settings, credentials, records and the sandbox are kept",
  },
  {
    names: ["XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"],
    read: "own",
    meaning:
      "without KILOCLAW_ADMIN_CONFIG_DIR, where they are kept on Linux, and what starts the tool faster; absolute paths only",
  },
  {
    names: ["APPDATA", "LOCALAPPDATA"],
    read: "own",
    meaning: "without KILOCLAW_ADMIN_CONFIG_DIR, where they are kept on Windows; absolute paths only",
  },
  {
    names: ["HOME", "USERPROFILE"],
    read: "own",
    meaning:
      "the home directory, on Windows the second; absolute paths only, otherwise the system's list of users says it",
  },
  { names: ["TMPDIR"], read: "own", meaning: "the folder for temporary files; absolute paths only" },
  { names: ["NO_COLOR"], read: "own", meaning: "anything: no colour" },
  { names: ["FORCE_COLOR"], read: "own", meaning: "0 or false: no colour; anything else: colour also off a terminal" },
  { names: ["TERM"], read: "own", meaning: "dumb: no colour, no pager, static lines instead of redrawing" },
  {
    names: ["PAGER"],
    read: "own",
    meaning: "what shows a long output on a terminal; without it less -FRX; cat, or empty: nothing does",
  },
  {
    names: ["VISUAL", "EDITOR"],
    read: "text",
    meaning: "what a prompt is written with; without them vi, on Windows notepad",
  },
  { names: ["SHELL"], read: "own", meaning: "the shell that completion install is about, where it names none" },
  {
    names: ["DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"],
    read: "text",
    meaning: "on Linux, whether there is a screen for a browser",
  },
  { names: ["https_proxy", "HTTPS_PROXY"], read: "text", meaning: "the proxy for the platform" },
  { names: ["all_proxy", "ALL_PROXY"], read: "text", meaning: "stand in for it" },
  { names: ["http_proxy", "HTTP_PROXY"], read: "text", meaning: "stand in for both" },
  {
    names: ["no_proxy", "NO_PROXY"],
    read: "own",
    meaning: "hosts and networks that are reached without a proxy, separated by commas; *: all",
  },
  { names: ["NODE_EXTRA_CA_CERTS"], read: "text", meaning: "a file of further certificate authorities" },
  {
    names: ["NODE_TLS_REJECT_UNAUTHORIZED"],
    read: "own",
    meaning: "0: refused, nothing is sent to another machine without checking who answers",
  },
  {
    names: ["NODE_DEBUG"],
    read: "own",
    meaning: "http, net, tls or *: refused, nothing is sent, as Node would print the token",
  },
] as const satisfies readonly Row[];

/** What one of them means, with how it is read where it can be on or off. */
export function meaningOf({ read, meaning }: Pick<(typeof VARIABLES)[number], "meaning" | "read">): string {
  return read === "switch" ? `1: ${meaning}` : meaning;
}
