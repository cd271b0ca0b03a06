/** What a playbook is: a vetted prompt, with the fields that are filled in, and the limits that hold for it. */
import type { PromptTemplate } from "../bulk/input/prompt-template.ts";

export interface Playbook {
  /** Its file's name without `.md`. */
  readonly name: string;
  readonly title: string;
  readonly description: string | null;
  readonly requiresTicket: boolean;
  readonly limits: {
    /** A job starts no more than this at a time. */
    readonly concurrency: number | null;
    /** A job starts this many first, at least. */
    readonly canary: number | null;
  };
  /** In the order in which the file has them. */
  readonly fields: readonly Field[];
  readonly template: PromptTemplate;
  /** Of the file's bytes. */
  readonly sha256: string;
}

export interface Field {
  readonly name: string;
  readonly description: string | null;
  /** A regular expression that a whole value must match. */
  readonly pattern: string | null;
  readonly default: string | null;
}

/** What keeps a file from being a playbook; `line` is the file's, from 1, where it can be said. */
export interface Problem {
  readonly line: number | null;
  readonly reason: string;
}

/** A problem in words, behind the file's name. */
export function problemWords({ line, reason }: Problem): string {
  return line === null ? reason : `line ${line}: ${reason}`;
}
