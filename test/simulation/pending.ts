/**
 * Checks that the code does not pass yet. Each entry goes with the fix that makes it pass; when all have gone, so does
 * this file.
 */

/** No gap is reported while the position and all missed messages are within the retention time. */
export const CHECKS_GAPS = false;

/** No message is sent to a client that asks for it after the retention time. */
export const CHECKS_RETENTION = false;

/**
 * No position is given twice, also where storage takes no rows, and objects crash or leave memory. One that is has
 * clients that read messages in different orders, and answers to `ping` that come too early.
 */
export const CHECKS_POSITIONS_IN_FULL_STORAGE = false;

/** Where storage took no rows and objects crashed, no client waits for an answer for ever, or misses `all`. */
export const CHECKS_HEALING_IN_FULL_STORAGE = true;

/** An attachment never exceeds what the runtime takes. */
export const CHECKS_ATTACHMENTS = false;
