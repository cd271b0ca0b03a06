/** Who lives in a sandbox: deterministic, so that scripts and trainings can name users and instances. */
import type { Breakage } from "../instance/directory.ts";

/** The organization that the seeded organization instances belong to. */
const ORGANIZATION = "e0000000-0000-4000-8000-00000000000e";

export interface Person {
  /** Short name: part of the Stripe id, and how instances name their owner here. */
  readonly key: string;
  readonly id: string;
  readonly email: string;
  readonly name: string;
  readonly admin?: boolean;
  readonly blocked?: string;
  readonly pepper?: string;
  readonly sessionPepper?: string;
}

/** An instance and the machine it runs on. Times are ISO. */
export interface Home {
  /** The end of its id: `d0000000-0000-4000-8000-…`. */
  readonly number: number;
  readonly owner: string;
  readonly created: string;
  readonly sandboxId?: string;
  readonly organization?: string;
  readonly destroyed?: string;
  readonly trialStopped?: string;
  readonly suspended?: string;
  /** The machine's status; `running` unless told. */
  readonly status?: string;
  readonly oldController?: boolean;
  readonly cliDisabled?: boolean;
  /** What is wrong with its configuration; derived from the number unless told. */
  readonly breakage?: Breakage;
}

export const ADMIN: Person = {
  key: "admin",
  id: "a0000000-0000-4000-8000-000000000001",
  email: "ada.admin@kilocode.ai",
  name: "Ada Admin",
  admin: true,
  pepper: "pepper-ada",
};

export const SECOND_ADMIN: Person = {
  key: "admin2",
  id: "a0000000-0000-4000-8000-000000000002",
  email: "otto.oncall@kilocode.ai",
  name: "Otto Oncall",
  admin: true,
};

const FLEET_SIZE = 12;

const uuid = (prefix: string, number: number) => `${prefix}0000000-0000-4000-8000-${String(number).padStart(12, "0")}`;
const customer = (number: number, key: string, email: string, name: string): Person => ({
  key,
  id: uuid("c", number),
  email,
  name,
});
const two = (number: number) => String(number).padStart(2, "0");

/** The id of the seeded instance with this number. */
export const instanceId = (number: number) => uuid("d", number);

/** The user id of fleet customer 1…12. */
export const fleetUserId = (number: number) => uuid("f", number);

/** The instance number of fleet customer 1…12. */
export const fleetInstance = (number: number) => number + 14;

export const PEOPLE: readonly Person[] = [
  ADMIN,
  SECOND_ADMIN,
  { key: "plain", id: uuid("b", 1), email: "plain@example.com", name: "Plain User" },
  { key: "blocked", id: uuid("b", 2), email: "blocked@example.com", name: "Blocked User", blocked: "abuse: seeded" },
  {
    key: "blockedadmin",
    id: uuid("b", 3),
    email: "blocked.admin@kilocode.ai",
    name: "Blocked Admin",
    admin: true,
    blocked: "left the company",
  },
  customer(1, "alice", "alice@example.com", "Alice"),
  { key: "bob", id: "oauth/google:108000000000000000001", email: "bob@example.com", name: "Bob Legacy" },
  { ...customer(3, "carol", "carol@example.com", "Carol"), pepper: "pepper-carol" },
  customer(4, "dave", "dave.destroyed@example.com", "Dave"),
  { key: "erin", id: "oauth/github:5550001", email: "erin.org@example.com", name: "Erin Org" },
  customer(6, "frank", "frank.none@example.com", "Frank"),
  customer(7, "gina", "Gina.Multi@Example.com", "Gina"),
  customer(8, "heidi", "heidi.old@example.com", "Heidi"),
  customer(9, "ivan", "ivan.stopped@example.com", "Ivan"),
  customer(10, "judy", "judy.suspended@example.com", "Judy"),
  customer(11, "kate", "kate.trial@example.com", "Kate"),
  customer(12, "leo", "leo.rebuilt@example.com", "Leo"),
  customer(13, "under", "under_score@example.com", "Under Score"),
  customer(14, "underx", "underXscore@example.com", "Under X"),
  ...Array.from({ length: FLEET_SIZE }, (_, index) => ({
    key: `fleet${two(index + 1)}`,
    id: fleetUserId(index + 1),
    email: `fleet${two(index + 1)}@fleet.example.com`,
    name: `Fleet ${two(index + 1)}`,
  })),
  // Secrets of her own, so that a client that prints whole rows gives itself away.
  {
    ...customer(15, "jane", "jane@example.com", "Jane Doe"),
    pepper: "pepper-jane-secret",
    sessionPepper: "session-jane-secret",
  },
];

export const HOMES: readonly Home[] = [
  { number: 1, owner: "alice", created: "2026-05-11T10:00:00Z", breakage: "missing-plugin" },
  {
    number: 2,
    owner: "bob",
    created: "2026-05-12T10:00:00Z",
    sandboxId: "b2F1dGgvZ29vZ2xlOjEwODAwMDAwMDAwMDAwMDAwMDAwMQ",
    breakage: "bad-port",
  },
  { number: 3, owner: "carol", created: "2026-05-13T10:00:00Z", breakage: "empty-config" },
  { number: 4, owner: "dave", created: "2026-04-01T08:00:00Z", destroyed: "2026-05-20T08:00:00Z" },
  { number: 5, owner: "erin", created: "2026-05-15T10:00:00Z", organization: ORGANIZATION, breakage: "invalid-json" },
  { number: 6, owner: "gina", created: "2026-05-16T10:00:00Z", breakage: "none" },
  { number: 7, owner: "gina", created: "2026-05-17T10:00:00Z", organization: ORGANIZATION, breakage: "missing-plugin" },
  { number: 8, owner: "heidi", created: "2026-05-18T10:00:00Z", oldController: true, breakage: "invalid-json" },
  { number: 9, owner: "ivan", created: "2026-05-19T10:00:00Z", status: "stopped", breakage: "bad-port" },
  { number: 10, owner: "judy", created: "2026-05-20T10:00:00Z", suspended: "2026-05-25T00:00:00Z", status: "stopped" },
  {
    number: 11,
    owner: "kate",
    created: "2026-05-21T10:00:00Z",
    trialStopped: "2026-05-26T00:00:00Z",
    status: "stopped",
  },
  { number: 12, owner: "leo", created: "2026-04-02T08:00:00Z", destroyed: "2026-05-21T08:00:00Z" },
  { number: 13, owner: "leo", created: "2026-05-21T09:00:00Z", breakage: "no-backup" },
  { number: 14, owner: "under", created: "2026-05-24T10:00:00Z", cliDisabled: true, breakage: "invalid-json" },
  ...Array.from({ length: FLEET_SIZE }, (_, index) => ({
    number: fleetInstance(index + 1),
    owner: `fleet${two(index + 1)}`,
    created: `2026-05-01T00:${two(index + 1)}:00Z`,
  })),
  { number: 27, owner: "jane", created: "2026-04-30T09:00:00Z", breakage: "invalid-json" },
];

/** Customer `number` (from 1) of those that are added for load: a user with one personal instance that runs. */
export function loadCustomer(number: number): { person: Person; instanceId: string; created: string } {
  const key = `user${String(number).padStart(4, "0")}`;
  return {
    person: {
      key,
      id: uuid("1", number),
      email: `${key}@load.example.com`,
      name: `User ${String(number).padStart(4, "0")}`,
    },
    instanceId: uuid("2", number),
    // One after the other: a list of instances that are all of one moment has no order, and its pages overlap.
    created: new Date(Date.UTC(2026, 3, 15) + number * 1_000).toISOString(),
  };
}
