import { diagnosisShape } from "./diagnosis.ts";
/** Every shape that is printed for programs, by its name: a public interface. Names and fields stay; fields are only added. */
import {
  failureGroupShape,
  jobDetailsShape,
  jobEventShape,
  jobShape,
  plannedTargetShape,
  reportShape,
  targetShape,
} from "./job.ts";
import { journalRecordShape } from "./journal-record.ts";
import { auditRecordShape, instanceShape, pageShape, userShape } from "./platform.ts";
import { playbookCheckShape, playbookDetailsShape, playbookShape } from "./playbook.ts";
import {
  accountShape,
  openPointShape,
  operationShape,
  reconciledShape,
  settledRunShape,
  verificationShape,
} from "./record.ts";
import { runDetailsShape, runOutputShape, runShape } from "./run.ts";
import {
  authStatusShape,
  checkShape,
  errorShape,
  loginShape,
  sandboxAccessShape,
  sandboxFaultShape,
  sandboxInstanceShape,
  sandboxShape,
  settingShape,
} from "./setup.ts";
import { watchEventShape } from "./watch-event.ts";

export const SHAPES = {
  run: runShape,
  "run-details": runDetailsShape,
  "run-output": runOutputShape,
  "watch-event": watchEventShape,
  "settled-run": settledRunShape,
  reconciled: reconciledShape,
  diagnosis: diagnosisShape,
  job: jobShape,
  "job-details": jobDetailsShape,
  target: targetShape,
  "planned-target": plannedTargetShape,
  "job-event": jobEventShape,
  report: reportShape,
  "failure-group": failureGroupShape,
  playbook: playbookShape,
  "playbook-details": playbookDetailsShape,
  "playbook-check": playbookCheckShape,
  instance: instanceShape,
  user: userShape,
  page: pageShape,
  "audit-record": auditRecordShape,
  operation: operationShape,
  "journal-record": journalRecordShape,
  verification: verificationShape,
  account: accountShape,
  "open-point": openPointShape,
  login: loginShape,
  "auth-status": authStatusShape,
  setting: settingShape,
  check: checkShape,
  sandbox: sandboxShape,
  "sandbox-access": sandboxAccessShape,
  "sandbox-instance": sandboxInstanceShape,
  "sandbox-fault": sandboxFaultShape,
  error: errorShape,
} as const;

export type Shapes = typeof SHAPES;
export type ShapeName = keyof Shapes;
