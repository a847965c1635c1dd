/**
 * Checks that the code does not pass yet. Each entry goes with the fix that makes it pass; when all have gone, so does
 * this file.
 */

/** An attachment never exceeds what the runtime takes. */
export const CHECKS_ATTACHMENTS = false;
