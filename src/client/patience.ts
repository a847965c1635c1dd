/** How long the server may take, in milliseconds. */

/** To accept a connection, or to respond to a request. */
export const OPEN_WITHIN = 10_000;
/** To reply to a command: it retries its own calls for some time. */
export const REPLY_WITHIN = 60_000;
/** The reason of whatever is given up then. */
export const SILENT = "the server doesn't answer";
