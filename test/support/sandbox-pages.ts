/** A browser without its looks: what it sends to a sandbox's pages, and nothing it would not send. */
import { expect } from "vitest";
import type { TestSandbox } from "./sandbox.ts";

/** The headers of a form that is sent from one of the sandbox's own pages. */
export const fromOwnPage = ({ url }: Pick<TestSandbox, "url">) => ({ origin: url, "sec-fetch-site": "same-origin" });

/** The hidden fields of a page's form. */
export function hiddenFields(page: string): Record<string, string> {
  const fields = [...page.matchAll(/<input type="hidden" name="(\w+)" value="([^"]*)"/g)];
  return Object.fromEntries(fields.map(([, name = "", value = ""]) => [name, value]));
}

/** Where an answer that signs in goes on to, and the cookie that it sets. */
export async function sessionOf(response: Response): Promise<{ place: string; page: string; cookie: string }> {
  expect(response.status).toBe(200);
  const [, goOn = ""] = /content="0; url=([^"]+)"/.exec(await response.text()) ?? [];
  const [cookie = ""] = response.headers.getSetCookie();
  return { place: /^\/s\/[^/]+/.exec(goOn)?.[0] ?? "", page: goOn.replaceAll("&amp;", "&"), cookie };
}

/** Somebody who has given the key. */
export class Visitor {
  readonly sandbox: TestSandbox;
  readonly place: string;
  readonly cookie: string;

  private constructor(sandbox: TestSandbox, place: string, cookie: string) {
    this.sandbox = sandbox;
    this.place = place;
    this.cookie = cookie;
  }

  static async of(sandbox: TestSandbox): Promise<Visitor> {
    const { place, cookie } = await sessionOf(
      await fetch(`${sandbox.url}/key`, {
        method: "POST",
        headers: fromOwnPage(sandbox),
        body: new URLSearchParams({ key: sandbox.remote.key, next: "/" }),
      }),
    );
    return new Visitor(sandbox, place, cookie.split(";")[0] ?? "");
  }

  /** Somebody who has chosen an account as well. */
  static async as(sandbox: TestSandbox, email: string): Promise<Visitor> {
    const visitor = await Visitor.of(sandbox);
    const page = await (await visitor.get("/")).text();
    const [, account = ""] = new RegExp(`<option value="([^"]+)" *>${email}</option>`).exec(page) ?? [];
    const response = await visitor.post("/account", { ...hiddenFields(page), account });
    if (response.status !== 303) throw new Error(`${email} cannot be chosen`);
    return visitor;
  }

  /** Sends a page's form, as it is there, with these fields filled in. */
  async fillIn(path: string, filledIn: Record<string, string>): Promise<Response> {
    const { token = "" } = hiddenFields(await (await this.get(path)).text());
    return this.post(path, { token, ...filledIn });
  }

  /** @param path of a page, such as `/device-auth`, or its whole address. */
  get(path: string): Promise<Response> {
    return fetch(this.#at(path), { headers: { cookie: this.cookie } });
  }

  /** @param headers in place of what a browser says of a form on the sandbox's own page. */
  post(path: string, fields: Record<string, string>, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(this.#at(path), {
      method: "POST",
      headers: { cookie: this.cookie, ...fromOwnPage(this.sandbox), ...headers },
      body: new URLSearchParams(fields),
      redirect: "manual",
    });
  }

  #at(path: string): string {
    const { pathname, search } = new URL(path, this.sandbox.url);
    return `${this.sandbox.url}${this.place}${pathname}${search}`;
  }
}
