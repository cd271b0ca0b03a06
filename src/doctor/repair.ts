import { rename } from "node:fs/promises";
import { CliError, messageOf } from "../errors.ts";

/**
 * Moves a broken file out of the way, to a dated name beside it. Nothing in it is lost.
 *
 * @returns its new path.
 * @throws CliError `local-state`
 */
export async function setAside(path: string): Promise<string> {
  const aside = `${path}.broken-${new Date().toISOString().replaceAll(":", "-")}`;
  try {
    await rename(path, aside);
    return aside;
  } catch (error) {
    throw new CliError("local-state", `cannot move ${path} aside: ${messageOf(error)}`, { cause: error });
  }
}
