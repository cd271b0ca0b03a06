import type { Command } from "@commander-js/extra-typings";
import type * as z from "zod";
import type { Context, OpenContext } from "../../context.ts";
import type { sandboxAccessShape } from "../../shapes/setup.ts";
import type { Prints, View } from "../../terminal/rows.ts";
import { command as typed, hint } from "../../typed-command.ts";
import { hasBrowser, openInBrowser } from "../shared/browser.ts";
import { examples } from "../shared/options.ts";
import {
  assertOwnData,
  dataDirOption,
  orderly,
  runningSandbox,
  type DataDirOptions,
  type SandboxContext,
} from "./shared.ts";

interface OpenOptions extends DataDirOptions {
  readonly print?: true | undefined;
}

type Access = Readonly<z.output<typeof sandboxAccessShape>>;

export function configure(command: Command, open: OpenContext): void {
  command
    .addOption(dataDirOption())
    .option("--print", "print the address and the key that the pages ask for, and open nothing")
    .addHelpText("after", examples("kiloclaw-admin sandbox open", "kiloclaw-admin sandbox open --print"))
    .action(async (options) => openPages(await open(), options));
}

export const prints = (): Prints => [{ when: "--print", view: accessView }];

async function openPages(context: SandboxContext & Pick<Context, "output">, options: OpenOptions): Promise<void> {
  const { output } = context;
  const sandbox = await runningSandbox(context, options);
  const { url, key } = sandbox;
  if (options.print) return output.item({ url, key }, accessView);
  if (hasBrowser(context)) {
    await openInBrowser(context, await orderly(sandbox.openingFile("/")));
    return output.success(`opening ${url} in your browser`);
  }
  output.line(url);
  output.note(
    hint`no browser here; the page asks for a key: ${typed("sandbox open", { "--print": true, "--data-dir": options.dataDir })}`,
  );
}

/** Every one of them leads to the sandbox. */
const LOCAL_NAMES: readonly string[] = ["127.0.0.1", "localhost", "[::1]"];

/**
 * A file that opens an address in a browser, signed in, once and for a minute.
 *
 * @returns undefined where the address is of no running sandbox of this user.
 */
export async function signedInPage(
  { paths, sandboxAt }: Pick<Context, "paths" | "sandboxAt">,
  address: string,
): Promise<string | undefined> {
  const { protocol, hostname, port, pathname, search } = new URL(address);
  if (protocol !== "http:" || !LOCAL_NAMES.includes(hostname)) return undefined;
  const { findSandbox } = await import("../../sandbox/remote.ts");
  const place = await sandboxAt(new URL(address).origin);
  for (const dataDir of place === undefined ? [paths.sandbox] : [paths.sandbox, place.dataDir]) {
    const sandbox = await assertOwnData(dataDir)
      .then(() => findSandbox(dataDir))
      .catch(() => null);
    if (sandbox && new URL(sandbox.url).port === port) {
      return sandbox.openingFile(`${pathname}${search}`).catch(() => undefined);
    }
  }
  return undefined;
}

const accessView: View<Access> = {
  shape: "sandbox-access",
  fields: ["url", "key"],
  id: ({ key }) => key,
  details: ({ url, key }) => [
    { label: "page", value: url },
    { label: "key", value: key },
  ],
};
