import * as z from "zod";
import { ApiError } from "../api/api-error.ts";
import type { Api } from "../api/api.ts";
import { CliError } from "../errors.ts";
import { command, hint, plain } from "../typed-command.ts";
import { refuse, type Choice, type Choose } from "./choice.ts";
import { getInstance, listInstances, type Instance } from "./instances.ts";
import type { Subject } from "./subject.ts";
import { searchUsers, type User } from "./users.ts";

/** Whether `text` is a UUID as the platform takes it. */
export function isUuid(text: string): boolean {
  return z.uuid().safeParse(text).success;
}

const MAX_LOOKALIKES = 5;
const ALL = Number.MAX_SAFE_INTEGER;

/**
 * Finds the user that `text` names: an e-mail address, a user ID (a UUID or a legacy `oauth/…` text), or an instance ID. Where
 * nobody is named, there is nobody to find.
 *
 * @param choose finds out who is meant where several are like it.
 * @throws CliError `not-found`, `ambiguous`, `usage`
 */
export async function resolveUser(api: Api, text: string, choose?: Choose): Promise<Subject>;
export async function resolveUser(api: Api, text: string | undefined, choose?: Choose): Promise<Subject | undefined>;
export async function resolveUser(
  api: Api,
  text: string | undefined,
  choose: Choose = refuse,
): Promise<Subject | undefined> {
  if (text === undefined) return undefined;
  if (text.trim() === "") throw new CliError("usage", "the user's name is empty: is a variable not set?");
  if (isUuid(text)) {
    // The platform compares IDs letter by letter, and writes its own in lower case.
    const uuid = text.toLowerCase();
    const [users, instance] = await Promise.all([searchUsers(api, uuid, ALL), findInstance(api, uuid)]);
    const user = users.find(({ id }) => id === uuid);
    if (user) return subjectOf(user);
    if (instance) return { userId: instance.userId, email: instance.userEmail, instance };
    throw new CliError("not-found", `no user and no instance has the ID ${text}`, {
      hint: hint`look the customer up: ${command("users find", "TEXT")}`,
    });
  }
  // The search takes `_` and `%` for wildcards and finds parts of names too: only an equal address or ID counts.
  const users = await searchUsers(api, text, ALL);
  const exact = users.filter(({ id, email }) => id === text || email.toLowerCase() === text.toLowerCase());
  if (exact.length === 1 && exact[0]) return subjectOf(exact[0]);
  if (exact.length > 1) {
    const chosen = await choose({
      kind: "ambiguous",
      message: `"${text}" names ${exact.length} users`,
      question: `"${text}" names ${exact.length} users. Which one is meant?`,
      choices: exact.map(userChoice),
      word: text,
    });
    return subjectOf(chosen);
  }
  const message = `no user has the e-mail address or ID "${text}"`;
  if (users.length === 0) {
    throw new CliError("not-found", message, { hint: hint`look the customer up: ${command("users find", text)}` });
  }
  const chosen = await choose({
    kind: "not-found",
    message,
    question: `No user has the e-mail address or ID "${text}". Which one is meant?`,
    choices: users.slice(0, MAX_LOOKALIKES).map(userChoice),
    more: Math.max(0, users.length - MAX_LOOKALIKES),
    word: text,
  });
  return subjectOf(chosen);
}

/**
 * Finds the instance to act on: the one that was named, else the user's only active one. Nothing is guessed when there are
 * several.
 *
 * @param named the user as they were typed.
 * @param choose finds out which one is meant.
 * @throws CliError `not-found` or `ambiguous`
 */
export async function resolveInstance(
  api: Api,
  subject: Subject,
  instanceId: string | undefined,
  { named, choose = refuse }: { readonly named: string; readonly choose?: Choose },
): Promise<Instance> {
  const who = subject.email ?? subject.userId;
  if (instanceId !== undefined) {
    const instance = await findInstance(api, instanceId);
    if (!instance) throw new CliError("not-found", `no instance has the ID ${instanceId}`);
    if (instance.userId !== subject.userId) {
      throw new CliError("not-found", `instance ${instance.id} does not belong to ${who}`, {
        hint: `it belongs to ${instance.userEmail ?? instance.userId}`,
      });
    }
    return active(instance);
  }
  if (subject.instance) return active(subject.instance);
  const instances = (await instancesOf(api, subject)).filter(({ destroyedAt }) => destroyedAt === null);
  const [only] = instances;
  if (!only) {
    throw new CliError("not-found", `${who} has no active instance`, {
      hint: hint`see what there was: ${command("instances list", { "--user": subject.userId })}`,
    });
  }
  if (instances.length === 1) return only;
  return choose({
    kind: "ambiguous",
    message: `${who} has ${instances.length} active instances; name one`,
    question: `${who} has ${instances.length} active instances. Which one is meant?`,
    choices: instances.map((instance) => ({
      value: instance,
      id: instance.id,
      label: instance.organizationId === null ? plain("personal") : hint`organization ${instance.organizationId}`,
    })),
    word: named,
    option: "--instance",
  });
}

function userChoice(user: User): Choice<User> {
  return { value: user, id: user.id, label: hint`${user.email}` };
}

/** All instances that a user has or had, newest first. */
export async function instancesOf(api: Api, { userId, email }: Subject): Promise<Instance[]> {
  // A legacy user ID is not searchable; the e-mail address is, as a part of longer ones too.
  const found = await listInstances(api, { search: isUuid(userId) ? userId : (email ?? userId) }, ALL);
  return found.filter((instance) => instance.userId === userId);
}

function subjectOf({ id, email }: User): Subject {
  return { userId: id, email, instance: undefined };
}

function active(instance: Instance): Instance {
  if (instance.destroyedAt === null) return instance;
  throw new CliError("not-found", `instance ${instance.id} was destroyed at ${instance.destroyedAt.toISOString()}`, {
    hint: hint`see the others there are: ${command("instances list", { "--user": instance.userId })}`,
  });
}

async function findInstance(api: Api, id: string): Promise<Instance | undefined> {
  try {
    return await getInstance(api, id.toLowerCase());
  } catch (error) {
    if (error instanceof ApiError && error.httpStatus === 404 && error.kind === "not-found") return undefined;
    throw error;
  }
}
