import { homedir } from "node:os";
import { sep } from "node:path";
import { PROXY_VARIABLES } from "../api/wire/proxy.ts";
import { withoutTokens } from "../secrets.ts";
import { rewritten } from "../typed-command.ts";
import type { Finding } from "./check.ts";

/** What is shorter also stands for itself in ordinary words. */
const MIN_SECRET_LENGTH = 5;
const HIDDEN = "[hidden]";
const USER_INFO = /\/\/[^\s/@]+@/g;

/**
 * A finding as it may be pasted into a ticket. The home directory is written `~`, which names no user, is short, and can be
 * typed. No check puts a secret into its words; should text from elsewhere bring one along, it is cut out here.
 */
export function presentable(
  finding: Finding,
  { env, token }: { env: Readonly<Record<string, string | undefined>>; token: string | undefined },
): Finding {
  const secrets = [
    token,
    env.KILOCLAW_ADMIN_TOKEN?.trim(),
    ...PROXY_VARIABLES.flatMap((name) => passwordsIn(env[name])),
  ];
  const present = (text: string) => {
    let clean = text;
    for (const secret of secrets)
      if (secret && secret.length >= MIN_SECRET_LENGTH) clean = clean.replaceAll(secret, HIDDEN);
    return withoutHome(withoutTokens(clean, HIDDEN).replaceAll(USER_INFO, `//${HIDDEN}@`));
  };
  return {
    ...finding,
    found: present(finding.found),
    remedy: finding.remedy.map((said) => rewritten(said, present)),
  };
}

function passwordsIn(proxy: string | undefined): (string | undefined)[] {
  const [, encoded] = /:([^:@/]+)@/.exec(proxy ?? "") ?? [];
  if (encoded === undefined) return [];
  try {
    return [encoded, decodeURIComponent(encoded)];
  } catch {
    return [encoded];
  }
}

function withoutHome(text: string): string {
  const home = ownHome();
  // `~` means nothing to the shells of Windows, and `/` is nobody's home.
  return sep === "/" && home.length > 1 ? text.replaceAll(`${home}/`, "~/") : text;
}

/** Empty for a user who has none. */
function ownHome(): string {
  try {
    return homedir();
  } catch {
    return "";
  }
}

/** A path as a word to type; `~` stays outside of the quotes, where the shell knows it. */
export function typed(path: string): string {
  const home = `${ownHome()}${sep}`;
  const [root, rest] = path.startsWith(home) ? [home, path.slice(home.length)] : ["", path];
  return `${root}${/^[\w@%+=:,./\\-]*$/.test(rest) ? rest : `'${rest.replaceAll("'", "'\\''")}'`}`;
}
