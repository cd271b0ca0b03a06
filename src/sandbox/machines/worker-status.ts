import type { Instance } from "../database/schema.ts";
import type { Machine } from "../seed/machines.ts";

/** When every machine of the sandbox was provisioned, started and (if it was) stopped: epoch milliseconds. */
const PROVISIONED_AT = 1_780_000_000_000;
const STARTED_AT = PROVISIONED_AT + 5_000;
const STOPPED_AT = PROVISIONED_AT + 9_000;

/** `workerStatus` of an instance, with all keys of the real worker. A machine that is gone has hardly anything to tell. */
export function describeMachine(instance: Instance, machine: Machine): Record<string, unknown> {
  const exists = machine.status !== null;
  const ifExists = <T>(value: T) => (exists ? value : null);
  return {
    userId: ifExists(instance.user_id),
    sandboxId: ifExists(instance.sandbox_id),
    orgId: ifExists(instance.organization_id),
    provider: exists ? "docker-local" : "fly",
    runtimeId: ifExists(`kiloclaw-${instance.sandbox_id}`),
    storageId: ifExists(`kiloclaw-root-${instance.sandbox_id}`),
    region: null,
    status: machine.status,
    provisionedAt: ifExists(PROVISIONED_AT),
    lastStartedAt: machine.status === "running" ? STARTED_AT : null,
    lastStoppedAt: machine.status === "stopped" ? STOPPED_AT : null,
    envVarCount: 0,
    secretCount: 0,
    channelCount: 0,
    flyAppName: null,
    flyMachineId: null,
    flyVolumeId: null,
    flyRegion: null,
    machineSize: null,
    instanceType: null,
    volumeSizeGb: null,
    adminMachineSizeOverride: null,
    adminMachineSizeOverrideMetadata: null,
    openclawVersion: ifExists("2026.4.23"),
    imageVariant: ifExists("default"),
    trackedImageTag: ifExists(instance.tracked_image_tag),
    trackedImageDigest: null,
    googleConnected: false,
    googleOAuthConnected: false,
    googleOAuthStatus: "disconnected",
    googleOAuthAccountEmail: null,
    googleOAuthCapabilities: [],
    googleWorkspaceToolsEnabled: false,
    googleWorkspaceConfigSyncPending: false,
    googleWorkspaceConfigSyncError: null,
    googleWorkspaceConfigReady: true,
    googleWorkspaceConfigSyncedAt: null,
    gmailNotificationsEnabled: false,
    pendingDestroyMachineId: null,
    pendingDestroyVolumeId: null,
    destroyStartedAt: null,
    lastDestroyPendingEventAt: null,
    pendingPostgresMarkOnFinalize: false,
    lastMetadataRecoveryAt: null,
    lastLiveCheckAt: null,
    alarmScheduledAt: null,
    lastDestroyErrorOp: null,
    lastDestroyErrorStatus: null,
    lastDestroyErrorMessage: null,
    lastDestroyErrorAt: null,
    lastStartErrorMessage: null,
    lastStartErrorAt: null,
    lastRestartErrorMessage: null,
    lastRestartErrorAt: null,
    recoveryStartedAt: null,
    pendingRecoveryVolumeId: null,
    recoveryPreviousVolumeId: null,
    recoveryPreviousVolumeCleanupAfter: null,
    lastRecoveryErrorMessage: null,
    lastRecoveryErrorAt: null,
    previousVolumeId: null,
    restoreStartedAt: null,
    pendingRestoreVolumeId: null,
    instanceReadyEmailSent: true,
    startFailurePushSentForAttempt: true,
    // Instances from before sandbox ids were derived from their own id are keyed by their owner.
    envKeyAppDOKey: ifExists(instance.sandbox_id.startsWith("ki_") ? instance.id : instance.user_id),
    envKeyAppDOFlyAppName: null,
    envKeyAppDOKeySet: ifExists(false),
  };
}
