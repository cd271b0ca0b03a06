import { Option } from "@commander-js/extra-typings";
import type { Context } from "../../context.ts";
import type { Prints, View } from "../../terminal/rows.ts";
import { hasBrowser, openInBrowser } from "./browser.ts";

/** The list of all runs, for those whose instance has no page. */
export const ALL_RUNS_PAGE = "/admin/kiloclaw?tab=cli-runs";

/** Where an admin sees an instance, starts its machine, and follows its run. */
export function instancePage(instanceId: string): string {
  return `/admin/kiloclaw/${instanceId}`;
}

export const printOption = () => new Option("--print", "print the page's address, and open nothing");

/** Opens a page of the platform that is meant in the user's browser, which gets no token; or prints its address. */
export async function openPage(
  context: Pick<Context, "host" | "output" | "platform" | "signedInPage">,
  path: string,
  { print = false }: { readonly print?: boolean | undefined },
): Promise<void> {
  const { output, platform, signedInPage } = context;
  const { origin } = await platform();
  const url = `${origin}${path}`;
  if (output.format !== "table") return output.item({ url }, pageView);
  if (print) return output.line(url);
  if (!hasBrowser(context)) {
    output.line(url);
    return output.note("no browser here; open the page yourself");
  }
  await openInBrowser(context, (await signedInPage(url)) ?? url);
  output.success(`opening ${url} in your browser`);
}

/** What the commands that open a page print as data. */
export const pagePrints = (): Prints => [{ view: pageView }];

const pageView: View<{ readonly url: string }> = {
  shape: "page",
  fields: ["url"],
  id: ({ url }) => url,
  details: ({ url }) => [{ label: "page", value: url }],
};
