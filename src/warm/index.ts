export { saveHotKeys, savedHotKeys, type HotKeySaving, type HotKeySavingOptions } from "./hot-keys.js";
export {
  entityStep,
  keyStep,
  taskStep,
  warmPlan,
  type EntityStepOptions,
  type Items,
  type StepOptions,
  type WarmItem,
  type WarmPlanDefinition,
  type WarmStep,
} from "./plan.js";
export { inShare, rollout, type Rollout, type RolloutOptions } from "./rollout.js";
export { runWarmPlan, type PlanReport, type RunPlanOptions, type WarmProgress } from "./run.js";
export { cacheStore, fileStore, type WarmStore } from "./store.js";
export { readHotKeys, recordTrace, type HotKeysOfTrace, type Recording, type RecordOptions } from "./trace.js";
