import type { Command } from "@commander-js/extra-typings";
import { commonOptions, type CommonOptions, type GivenOptions } from "../common-options.ts";
import {
  candidatesAt,
  commandsOf,
  NOTHING,
  type Answer,
  type Candidate,
  type ValueKind,
} from "../completion/candidates.ts";
import { findCursor, type Cursor, type Node } from "../completion/cursor.ts";
import type { Lookup } from "../completion/lookup.ts";
import { linesFor, readLine, type Line } from "../completion/shells.ts";
import { resolvePaths } from "../config/paths.ts";
import type { Host } from "../terminal/host.ts";
import type { Prints } from "../terminal/rows.ts";
import { VALUE_KINDS } from "./shared/value-kinds.ts";

interface Tree {
  readonly program: Command;
  /** Has a command filled with its own options, arguments or commands. */
  readonly fill: (command: Node) => Promise<void>;
  /** What a command prints for programs. */
  readonly prints: (command: Node) => Promise<Prints>;
}

/**
 * The command that a shell's script asks for what can be typed next. Whoever presses TAB wants candidates or nothing: it asks no
 * person, says nothing on standard error, changes nothing, and ends with 0.
 */
export function configureComplete(command: Command, { host, ...tree }: Tree & { readonly host: Host }): void {
  command
    .allowUnknownOption()
    .argument("[words...]")
    .action(async ([shell = "", ...words]) => {
      const line = readLine(shell, words);
      if (!line) return;
      const sources = new Sources(tree, host);
      const answer = await sources.answer(line).catch(() => NOTHING);
      host.stdout.write(linesFor(shell, line, answer));
      await sources.close();
    });
}

/** Where candidates come from; each part is loaded only where it is asked. */
class Sources {
  readonly #tree: Tree;
  readonly #host: Host;
  #lookup: Promise<Lookup> | undefined;

  constructor(tree: Tree, host: Host) {
    this.#tree = tree;
    this.#host = host;
  }

  async answer({ words, typed }: Line): Promise<Answer> {
    const { program, fill } = this.#tree;
    const cursor = await findCursor(program, words, typed, fill);
    if (!cursor) return NOTHING;
    return candidatesAt(cursor, VALUE_KINDS, (kind) => this.#valuesOf(kind, cursor).catch(() => []));
  }

  async close(): Promise<void> {
    await (await this.#lookup)?.close();
  }

  async #valuesOf(kind: ValueKind, cursor: Cursor): Promise<readonly Candidate[]> {
    const { config, state } = resolvePaths(this.#host.env);
    switch (kind) {
      case "field":
        return (await this.#tree.prints(cursor.command)).flatMap(({ view }) =>
          (view?.fields ?? []).map((value) => ({ value, description: view?.shape ?? "" })),
        );
      case "topic":
        return this.#topics(cursor);
      case "profile":
        return (await import("../completion/local.ts")).profiles(config);
      case "setting":
        return (await import("../completion/local.ts")).settings();
      case "setting-value":
        return (await import("../completion/local.ts")).settingValues(cursor.operands[0], config);
      case "procedure":
        return (await import("./api/procedure.ts")).knownQueries().map((value) => ({ value, description: "" }));
      case "job":
        return (await import("../completion/local.ts")).jobs(state);
      case "playbook": {
        const { env } = this.#host;
        return (await import("../completion/local.ts")).playbooks(config, { env, flags: this.#flags(cursor) });
      }
      case "run":
      case "user":
      case "instance": {
        this.#lookup ??= this.#openLookup(cursor);
        const user = cursor.options.get("--user");
        const named = typeof user === "string" && kind !== "user" ? user : undefined;
        return (await this.#lookup).find({ kind, typed: cursor.typed, user: named });
      }
    }
  }

  /** What `help` takes: a topic, or the words of a command. */
  async #topics({ operands }: Cursor): Promise<readonly Candidate[]> {
    const { program, fill } = this.#tree;
    const meant = await findCursor(program, operands, "", fill);
    if (meant?.wanted !== "command") return [];
    const { topicNames } = await import("./help/manual.ts");
    const topics = operands.length === 0 ? await topicNames(this.#host) : [];
    return [...topics.map((value) => ({ value, description: "topic" })), ...commandsOf(meant.command)];
  }

  /** The flags on the line that say which platform is meant. */
  #flags({ options, command }: Cursor): CommonOptions["flags"] {
    const text = (name: string) => {
      const value = options.get(name);
      return typeof value === "string" ? value : undefined;
    };
    // A sandbox's own commands are about it, whichever platform is meant otherwise.
    const profile = text("--profile") ?? (command.parent?.name() === "sandbox" ? "sandbox" : undefined);
    const given: GivenOptions = {
      ...(profile === undefined ? {} : { profile }),
      ...(text("--host") === undefined ? {} : { host: text("--host") ?? "" }),
    };
    return commonOptions(given, this.#host.env).flags;
  }

  async #openLookup(cursor: Cursor): Promise<Lookup> {
    const { env, version, timing, ranForMs } = this.#host;
    const { Lookup } = await import("../completion/lookup.ts");
    return new Lookup({
      paths: resolvePaths(env),
      env,
      flags: this.#flags(cursor),
      timing,
      userAgent: `kiloclaw-admin/${version}`,
      leftMs: () => timing.completionMs - ranForMs(),
    });
  }
}
