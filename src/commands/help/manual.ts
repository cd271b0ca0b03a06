/** The manual: one Markdown page for each topic, shipped as it stands in the repository. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Host } from "../../terminal/host.ts";

export interface Topic {
  readonly name: string;
  /** What the page is about, from its first paragraph. */
  readonly summary: string;
  /** The page, in Markdown. */
  readonly markdown: string;
}

const EXTENSION = ".md";

/** The names of all topics, in alphabetical order. */
export async function topicNames({ root }: Pick<Host, "root">): Promise<string[]> {
  const files = await readdir(folderOf(root));
  return files
    .filter((file) => file.endsWith(EXTENSION))
    .map((file) => file.slice(0, -EXTENSION.length))
    .toSorted();
}

/** Reads the page of `name`, one of {@link topicNames}. A page is a heading, a sentence that sums it up, and the rest. */
export async function readTopic({ root }: Pick<Host, "root">, name: string): Promise<Topic> {
  const markdown = await readFile(join(folderOf(root), name + EXTENSION), "utf8");
  const [, summary = ""] = markdown.split("\n\n");
  return { name, summary: summary.replaceAll(/\s+/g, " ").replaceAll("`", ""), markdown };
}

const folderOf = (root: string): string => join(root, "src", "help");
