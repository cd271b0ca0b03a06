import type { Command } from "@commander-js/extra-typings";
import type { Context, OpenContext } from "../../context.ts";
import { searchUsers, USER_FIELDS, type User } from "../../customers/users.ts";
import type { Prints, View } from "../../terminal/rows.ts";
import { sayCut } from "../shared/cut-list.ts";
import { examples, limitOption } from "../shared/options.ts";

export function configure(command: Command, open: OpenContext): void {
  command
    .argument("<text>", "part of an e-mail address or name (_ and % match anything), or a whole user ID")
    .addOption(limitOption(30))
    .addHelpText("after", examples("kiloclaw-admin users find jane", "kiloclaw-admin users find example.com --json"))
    .action(async (text, { limit }) => find(await open(), text, limit));
}

export const prints = (): Prints => [{ view: userView }];

async function find({ api, output }: Pick<Context, "api" | "output">, text: string, limit: number): Promise<void> {
  let total = 0;
  const users = await searchUsers(await api(), text, limit, (all) => (total = all));
  await output.list(users, userView, `no users match "${text}"`);
  sayCut({ output }, users.length, total > users.length ? { total } : undefined);
}

const userView: View<User> = {
  shape: "user",
  fields: USER_FIELDS,
  id: ({ id }) => id,
  columns: (when) => [
    { header: "USER", rank: 0, value: ({ id }) => id },
    { header: "EMAIL", rank: 1, shrinkTo: 20, value: ({ email }) => email },
    { header: "NAME", rank: 2, shrinkTo: 10, value: ({ name }) => name ?? "-" },
    { header: "ADMIN", rank: 3, value: ({ isAdmin }) => (isAdmin ? "yes" : "-") },
    {
      header: "BLOCKED",
      rank: 4,
      shrinkTo: 10,
      value: (user) => user.blockedReason ?? "-",
      color: ({ blockedReason }) => (blockedReason ? "red" : undefined),
    },
    { header: "CREATED", rank: 5, value: ({ createdAt }) => when(createdAt) },
  ],
};
