export { createAdmin } from "./create-admin.js";

export type { Admin, AdminListenOptions, AdminServer } from "./create-admin.js";
export type { Examination } from "./doctor/doctor.js";
export type { Finding, Level } from "./doctor/finding.js";
export type { RedisCommand } from "./doctor/redis-checks.js";
export type { FoundKey, Found } from "./explore.js";
export type { Overview, Told } from "./merge.js";
export type { NodeHandler } from "./node-handler.js";
export type { AdminActor, AdminOptions, AdminRole } from "./options.js";
export type { AuditLine, PurgePreview, PurgeResult, TierCount } from "./purges.js";
export type { MinuteSample, Miss, Note, ProcessFacts, ProcessReport, Ranked, Sampled } from "./report.js";
export type { ShownValue } from "./show-value.js";
export type { AdminTarget } from "./target.js";
