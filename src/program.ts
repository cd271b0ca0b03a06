import { CommanderError, Option, type Command, type Help } from "@commander-js/extra-typings";
import { CommandLine } from "./command-line.ts";
import { addCommonOptions, commonOptions, givenTo } from "./common-options.ts";
import type { Context, OpenContext } from "./context.ts";
import { CliError } from "./errors.ts";
import { COMMON, commonLine, formatHelp } from "./help-screen.ts";
import { StrictCommand } from "./strict-command.ts";
import type { Host } from "./terminal/host.ts";
import type { Prints } from "./terminal/rows.ts";
import { command as typed, hint } from "./typed-command.ts";

interface Verb {
  readonly summary: string;
  /** Loads the command's module, only when the command is run or its help is asked for. */
  readonly load: () => Promise<{
    configure(command: Command, open: OpenContext): void | Promise<void>;
    /** What it prints for programs. */
    prints(): Prints | Promise<Prints>;
  }>;
}

interface Noun {
  readonly summary: string;
  /** Words that other tools have taught people, for the noun and for its verbs. Help does not list them. */
  readonly alias?: string;
  readonly verbs: Readonly<Record<string, Verb>>;
}

/** What help says of a command. */
interface Told {
  readonly summary: string;
  readonly hidden?: boolean;
}

/** Gives a command its options, arguments and commands. */
type Fill = () => void | Promise<void>;

/** The whole command tree. */
export const NOUNS: Readonly<Record<string, Noun>> = {
  runs: {
    summary: "recovery runs: list, start, watch, cancel",
    alias: "run",
    verbs: {
      list: { summary: "list runs, newest first", load: () => import("./commands/runs/list.ts") },
      start: {
        summary: "start a recovery run on a user's instance, or on many",
        load: () => import("./commands/runs/start.ts"),
      },
      show: { summary: "show everything known about one run", load: () => import("./commands/runs/show.ts") },
      watch: {
        summary: "follow a run's output to its end, or many runs at once",
        load: () => import("./commands/runs/watch.ts"),
      },
      open: {
        summary: "open the page of a run's instance in your browser",
        load: () => import("./commands/runs/open.ts"),
      },
      logs: { summary: "show a run's output", load: () => import("./commands/runs/logs.ts") },
      retry: { summary: "start a run again, as a new run", load: () => import("./commands/runs/retry.ts") },
      cancel: { summary: "stop runs that have not ended", load: () => import("./commands/runs/cancel.ts") },
      settle: {
        summary: "record the outcome of runs that ended unnoticed",
        load: () => import("./commands/runs/settle.ts"),
      },
      diagnose: {
        summary: "find out what a run is doing, and what to do next",
        load: () => import("./commands/runs/diagnose.ts"),
      },
      reconcile: {
        summary: "find out what became of starts whose answer was lost",
        load: () => import("./commands/runs/reconcile.ts"),
      },
    },
  },
  jobs: {
    summary: "bulk jobs of this machine: list, watch, cancel, resume, report",
    alias: "job",
    verbs: {
      list: { summary: "list this machine's bulk jobs, newest first", load: () => import("./commands/jobs/list.ts") },
      show: { summary: "show a bulk job's state and counts", load: () => import("./commands/jobs/show.ts") },
      watch: {
        summary: "watch a bulk job that another process works on",
        load: () => import("./commands/jobs/watch.ts"),
      },
      cancel: {
        summary: "start nothing more of a bulk job, and cancel its runs in progress",
        load: () => import("./commands/jobs/cancel.ts"),
      },
      resume: {
        summary: "resume an interrupted bulk job",
        load: () => import("./commands/jobs/resume.ts"),
      },
      "retry-failed": {
        summary: "start a new job for the targets that failed",
        load: () => import("./commands/jobs/retry-failed.ts"),
      },
      report: {
        summary: "report the outcome of a bulk job's targets",
        load: () => import("./commands/jobs/report.ts"),
      },
      export: {
        summary: "write a bulk job to one file, for another machine",
        load: () => import("./commands/jobs/export.ts"),
      },
      import: {
        summary: "take over a bulk job from another machine's file",
        load: () => import("./commands/jobs/import.ts"),
      },
    },
  },
  playbooks: {
    summary: "the team's vetted prompts: list, show, check",
    alias: "playbook",
    verbs: {
      list: { summary: "list the playbooks of the profile", load: () => import("./commands/playbooks/list.ts") },
      show: { summary: "show a playbook and its prompt", load: () => import("./commands/playbooks/show.ts") },
      check: {
        summary: "check every playbook of a folder, with file and line of each problem",
        load: () => import("./commands/playbooks/check.ts"),
      },
    },
  },
  instances: {
    summary: "customers' instances",
    alias: "instance",
    verbs: {
      list: { summary: "list instances, newest first", load: () => import("./commands/instances/list.ts") },
      show: { summary: "show one instance and its machine", load: () => import("./commands/instances/show.ts") },
      open: {
        summary: "open an instance's page in your browser, to start its machine",
        load: () => import("./commands/instances/open.ts"),
      },
    },
  },
  users: {
    summary: "the platform's users",
    alias: "user",
    verbs: {
      find: { summary: "find users by e-mail, name or ID", load: () => import("./commands/users/find.ts") },
    },
  },
  audit: {
    summary: "who did what",
    verbs: {
      list: { summary: "list the platform's audit records", load: () => import("./commands/audit/list.ts") },
      log: { summary: "show what this machine has changed", load: () => import("./commands/audit/log.ts") },
      verify: {
        summary: "check this machine's journal, and compare it with the platform's audit log",
        load: () => import("./commands/audit/verify.ts"),
      },
      export: {
        summary: "export what was changed, joined with the platform's audit log",
        load: () => import("./commands/audit/export.ts"),
      },
    },
  },
  auth: {
    summary: "your login",
    verbs: {
      login: { summary: "log in to the platform", load: () => import("./commands/auth/login.ts") },
      logout: { summary: "remove the stored token", load: () => import("./commands/auth/logout.ts") },
      status: {
        summary: "show who you are on the platform, and whether the token works",
        load: () => import("./commands/auth/status.ts"),
      },
    },
  },
  config: {
    summary: "settings and profiles",
    verbs: {
      list: {
        summary: "list the settings in force, and where each comes from",
        load: () => import("./commands/config/list.ts"),
      },
      get: { summary: "print a setting's value", load: () => import("./commands/config/get.ts") },
      set: { summary: "change a setting, or make a profile", load: () => import("./commands/config/set.ts") },
      unset: { summary: "remove a setting, or a profile", load: () => import("./commands/config/unset.ts") },
      path: { summary: "print the settings file's path", load: () => import("./commands/config/path.ts") },
    },
  },
  sandbox: {
    summary: "the platform's recovery-run system on this machine, to try everything on",
    verbs: {
      start: { summary: "start the sandbox", load: () => import("./commands/sandbox/start.ts") },
      stop: { summary: "stop the sandbox", load: () => import("./commands/sandbox/stop.ts") },
      open: { summary: "open its pages in your browser, signed in", load: () => import("./commands/sandbox/open.ts") },
      status: { summary: "show whether it runs, and where", load: () => import("./commands/sandbox/status.ts") },
      inspect: {
        summary: "show an instance's files and what is broken in them",
        load: () => import("./commands/sandbox/inspect.ts"),
      },
      reset: {
        summary: "reset it to its initial data",
        load: () => import("./commands/sandbox/reset.ts"),
      },
      token: { summary: "print a token of one of its users", load: () => import("./commands/sandbox/token.ts") },
      fault: { summary: "rehearse bad days: list, set, clear", load: () => import("./commands/sandbox/fault.ts") },
    },
  },
};

/** Commands that are about everything, and so belong to no noun. */
export const PLAIN_COMMANDS: Readonly<Record<string, Verb>> = {
  handoff: {
    summary: "one page of what is open, for the next shift",
    load: () => import("./commands/handoff.ts"),
  },
  doctor: {
    summary: "check the setup from this machine to the platform, with a fix for each failure",
    load: () => import("./commands/doctor.ts"),
  },
  completion: {
    summary: "complete commands, options and IDs in your shell with TAB",
    load: () => import("./commands/completion.ts"),
  },
  api: {
    summary: "call a procedure of the platform by its name",
    load: () => import("./commands/api.ts"),
  },
};

/** Other tools' words for verbs, where a noun has the verb and not the word. */
const OTHER_WORDS: Readonly<Record<string, readonly string[]>> = {
  list: ["ls"],
  show: ["view", "get"],
  cancel: ["stop"],
  watch: ["tail"],
  retry: ["rerun"],
};

/** What the shells' scripts ask for candidates. */
const COMPLETE = "__complete";

/** Short names for commands that are typed often. */
const ALIASES: Readonly<Record<string, readonly [noun: string, verb: string]>> = {
  login: ["auth", "login"],
  logout: ["auth", "logout"],
  whoami: ["auth", "status"],
};

/** Logs in on the way to something else. */
const logIn = async (context: Context): Promise<void> => (await import("./commands/auth/login.ts")).logInFirst(context);

/** How to open an address in a browser signed in, where it is one of a sandbox of this user. */
const signedInPage = async (context: Context, address: string): Promise<string | undefined> =>
  (await import("./commands/sandbox/open.ts")).signedInPage(context, address);

/** Runs a command of a noun inside another one. */
const runCommand = async (context: Context, [noun = "", verb = "", ...words]: readonly string[]): Promise<void> => {
  const loaded = await NOUNS[noun]?.verbs[verb]?.load();
  if (!loaded) throw new Error(`there is no command ${noun} ${verb}`);
  const command = new StrictCommand(verb).exitOverride();
  await loaded.configure(command, async () => context);
  await command.parseAsync([...words], { from: "user" });
};

/**
 * Builds the command line. `context.opened` gives the context that the command ran in, if it came that far; `program` is the tree,
 * each command in it filled when it is named.
 */
export function createProgram(host: Host) {
  let context: Promise<Context> | undefined;
  const program = new StrictCommand("kiloclaw-admin")
    .description("Start, watch, cancel and account for recovery runs on customers' KiloClaw instances.")
    .version(host.version, "-V, --version", "print the version")
    .addOption(new Option("-v").hideHelp())
    .exitOverride()
    .enablePositionalOptions()
    .showSuggestionAfterError()
    .helpCommand(false)
    .configureHelp({
      subcommandTerm: (command) => command.name(),
      formatHelp: (command, helper) =>
        command.parent ? formatHelp(command as Command, helper) : firstScreen(command as Command, helper),
    })
    .configureOutput({
      writeOut: (text) => host.stdout.write(text),
      // Usage errors are reported like all others, by `main`.
      writeErr: () => undefined,
      getOutHelpWidth: () => host.stdout.columns || 100,
    });
  addCommonOptions(program);
  const printVersion = () => {
    host.stdout.write(`${host.version}\n`);
    throw new CommanderError(0, "commander.version", host.version);
  };
  program.on("option:v", printVersion);

  let line: readonly string[] = [];
  const open = (command: Command) => async () => {
    context ??= import("./context.ts").then(({ Context }) =>
      Context.create(
        host,
        commonOptions(givenTo(command), host.env),
        { logIn, signedInPage, runCommand },
        new CommandLine(line, command),
      ),
    );
    return context;
  };
  /** The innermost command that was named so far: its help is the one to read. */
  let named: Command = program;
  /** What fills each command. */
  const fills = new Map<unknown, Fill>();
  /** What each command prints for programs. */
  const prints = new Map<unknown, () => Promise<Prints>>();
  const add = (parent: Command, name: string, told: Told, fill: (command: Command) => ReturnType<Fill>) => {
    const added = addCommand(parent, name, told, (command) => {
      named = command;
      return fill(command);
    });
    fills.set(added.command, added.fill);
    return added.command;
  };
  const addVerb = (parent: Command, name: string, { summary, load }: Verb) => {
    const added = add(parent, name, { summary }, async (command) => {
      const { configure, prints } = await load();
      await configure(command, open(command));
      // What a command prints may be declared in more modules than it runs with.
      const helping = line.some((word) => word === "--help" || word === "-h" || word === "help");
      if (helping) command.addHelpText("after", fieldsHelp(await prints(), command));
      command.optionsGroup(COMMON);
      addCommonOptions(command);
    });
    prints.set(added, async () => (await load()).prints());
    return added;
  };
  for (const [name, { summary, alias, verbs }] of Object.entries(NOUNS)) {
    const noun = add(program, name, { summary }, () => {
      addCommonOptions(noun, { hidden: true });
      for (const [verbName, verb] of Object.entries(verbs)) {
        const words = (OTHER_WORDS[verbName] ?? []).filter((word) => !(word in verbs));
        addVerb(noun, verbName, verb).aliases(words);
      }
    });
    if (alias) noun.alias(alias);
  }
  for (const [name, command] of Object.entries(PLAIN_COMMANDS)) addVerb(program, name, command);
  for (const [alias, [noun, verb]] of Object.entries(ALIASES)) {
    const named = NOUNS[noun]?.verbs[verb];
    if (named) addVerb(program, alias, { ...named, summary: `short for ${noun} ${verb}` });
  }
  add(program, "version", { summary: "print the version" }, (command) => void command.action(printVersion));
  add(program, "help", { summary: "read the manual, or help on a command" }, async (command) => {
    const { configureHelp } = await import("./commands/help.ts");
    configureHelp(command, program, host);
  });

  add(program, COMPLETE, { summary: "list what can be typed next", hidden: true }, async (command) => {
    const { configureComplete } = await import("./commands/complete.ts");
    configureComplete(command, {
      program,
      fill: async (chosen) => fills.get(chosen)?.(),
      prints: async (chosen) => (await prints.get(chosen)?.()) ?? [],
      host,
    });
  });

  const parse = async (argv: readonly string[]): Promise<void> => {
    line = argv;
    try {
      await program.parseAsync([...argv], { from: "user" });
    } catch (error) {
      if (!(error instanceof CommanderError)) throw error;
      // The program or a noun alone: its help is the answer.
      if (error.code === "commander.help") return parse([...argv, "--help"]);
      if (error.exitCode !== 0) throw usage(error, named);
    }
  };
  return { program, context: { opened: () => context?.catch(() => undefined) ?? Promise.resolve(undefined) }, parse };
}

/** Adds a command that is filled, with options, arguments or commands of its own, only when it is named, or when it is told so. */
function addCommand(
  parent: Command,
  name: string,
  { summary, hidden = false }: Told,
  fill: (command: Command) => ReturnType<Fill>,
): { readonly command: Command; readonly fill: Fill } {
  const command = parent
    .command(name, { hidden })
    .summary(summary)
    .description(`${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`)
    .helpCommand(false);
  let filled = false;
  const fillOnce = () => {
    if (filled) return;
    filled = true;
    return fill(command);
  };
  parent.hook("preSubcommand", (_parent, chosen) => (chosen === (command as unknown) ? fillOnce() : undefined));
  return { command, fill: fillOnce };
}

/** The JSON fields of what a command prints, as help has them; nothing where it prints none. */
function fieldsHelp(prints: Prints, command: Command): string {
  if (prints.length === 0) return "";
  const help = command.createHelp();
  const width = command.configureOutput().getOutHelpWidth?.() ?? 100;
  const parts = prints.map(({ when, view, events }) => {
    const fields = view ? `${view.shape}: ${view.fields.join(", ")}` : `${events}, one a line`;
    const text = help.boxWrap(`${when === undefined ? "" : `${when}: `}${fields}`, width - 2);
    return `  ${text.replaceAll("\n", "\n  ")}`;
  });
  return `\nJSON fields, for --json, --jq and --fields (schemas: kiloclaw-admin help json SHAPE):\n${parts.join("\n")}`;
}

function usage({ code, message }: CommanderError, command: Command): CliError {
  const names: string[] = [];
  for (let level: Command = command; level.parent; level = level.parent as Command) names.unshift(level.name());
  const see = hint`see: ${typed(names.join(" "), { "--help": true })}`;
  // A verb alone: most often one of the first noun's.
  const [, word = ""] = (code === "commander.unknownCommand" && names.length === 0 && /'(.*?)'/.exec(message)) || [];
  const verb = Object.keys(NOUNS.runs?.verbs ?? {}).find((name) => name === word || OTHER_WORDS[name]?.includes(word));
  const meant = verb === undefined ? [] : [hint`did you mean: ${typed(`runs ${verb}`)}`];
  return new CliError("usage", message.replace(/^error: /, ""), { hint: [...meant, see] });
}

/** What most people are here for, in the order in which it is done. */
const MAIN_JOB: readonly (readonly [noun: string, verb: string])[] = [
  ["runs", "start"],
  ["runs", "watch"],
  ["runs", "list"],
  ["runs", "diagnose"],
  ["runs", "cancel"],
];

/** The commands below that, by what they are about; those that stand in none are the last group. */
const GROUPS: Readonly<Record<string, readonly string[]>> = {
  "Customers, runs, records:": ["runs", "jobs", "handoff", "playbooks", "instances", "users", "audit", "api"],
  "This machine:": ["auth", "config", "doctor", "completion", "sandbox"],
};

/** What stands in one line at the end. */
const SHORT = ["login", "logout", "whoami", "version", "help"];

/** The help of the tool as a whole: what it is mostly for, then all there is. */
function firstScreen(program: Command, helper: Help): string {
  const summaries = new Map(program.commands.map((command) => [command.name(), command.summary()]));
  const line = (name: string, summary: string) => helper.formatItem(name, NAME_WIDTH, summary, helper);
  const grouped = new Set([...Object.values(GROUPS).flat(), ...SHORT, COMPLETE]);
  const others = [...summaries.keys()].filter((name) => !grouped.has(name));
  const groups = Object.entries({ ...GROUPS, "Others:": others }).map(([heading, names]) => {
    const lines = names.flatMap((name) => {
      const summary = summaries.get(name);
      return summary === undefined ? [] : [line(name, summary)];
    });
    return lines.length === 0 ? "" : [heading, ...lines].join("\n");
  });
  const main = MAIN_JOB.map(([noun, verb]) => line(`${noun} ${verb}`, NOUNS[noun]?.verbs[verb]?.summary ?? ""));
  const parts = [
    program.description(),
    ["The main job:", ...main].join("\n"),
    ...groups,
    `Also: ${SHORT.join(", ")}`,
    FIRST_STEPS,
    `Usage: kiloclaw-admin [options] COMMAND\nHelp on one: kiloclaw-admin COMMAND --help; the manual: kiloclaw-admin help\n${commonLine(helper.helpWidth ?? 80)}`,
  ];
  return `${parts.filter((part) => part !== "").join("\n\n")}\n`;
}

const NAME_WIDTH = 15;

const FIRST_STEPS = `First steps, with nothing but this machine:
  kiloclaw-admin sandbox start --detach
  kiloclaw-admin --profile sandbox runs start -u jane@example.com -p "gateway crash-loops" -w`;
