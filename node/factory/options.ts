/** Limits of training jobs on this node; each is named with its unit. */
import type { LoopOptions } from '../base/loop.ts'

/** Unfinished jobs. */
export const JOBS_WAITING_MAX = 64
/** Finished jobs whose records are kept; of older ones the chain has the result. */
export const JOBS_KEPT_MAX = 512
/** Rows of one job, over all its Datanet versions. */
export const ROWS_MAX = 1_000_000
/** Losses kept with a job's record; when there are more, every second one goes. */
export const POINTS_MAX = 2_048
export const CHECKPOINTS_MAX = 64
/** A worker whose queue fails asks again after this; the queue itself waits for work. */
export const WORKER_LOOP: LoopOptions = { pollMs: 0, retryMs: 1_000, retryMsMax: 30_000 }
/** How often a worker tells the queue that it is alive. */
export const WORKING_MS = 5_000
/** A worker that says nothing for so long has lost its job to another (NATS; in process it lives or dies with the node). */
export const SILENT_MS_MAX = 20_000
/** An inference request that a worker elsewhere has not answered by then is not wanted any more. */
export const REQUEST_MS_MAX = 600_000
/** Questions and answers that nobody has taken away are dropped at this age: an answer may come when its question is as old as the
 * line above says. */
export const PASSING_MS: number = 2 * REQUEST_MS_MAX
/** An object of which the server sends nothing for so long while it is read is given up, to be asked for again. */
export const CHUNK_MS_MAX = 60_000
/** Progress is written to the record at most this often; checkpoints and changes of state at once. */
export const PROGRESS_MS = 500
/** A job that fails without its own fault is tried again so often. */
export const ATTEMPTS_MAX = 5
/** The chain hears of a job's checkpoint at most this often; its lease is 600 s. */
export const LEASE_RENEWAL_MS = 240_000
/** Tokens of a run that contaminate a held-out row when a training row has the same. */
export const CONTAMINATION_TOKENS = 13
/** A file uploaded through OpenAI's API, and its rows. */
export const UPLOAD_BYTES_MAX: number = 64 * 2 ** 20
export const UPLOAD_ROWS_MAX = 50_000
/** Any other body of that API. */
export const BODY_BYTES_MAX: number = 1 * 2 ** 20
/** A measured pace is believed for so long: machines, their load and the engine change. Then the next estimate measures anew. */
export const CALIBRATION_MS_MAX: number = 7 * 86_400_000
