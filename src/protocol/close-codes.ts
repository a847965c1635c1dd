/** WebSocket close codes that the server chooses, https://www.rfc-editor.org/rfc/rfc6455#section-7.4 */

/** To a client whose stream would have a hole, or for whom there is no room: come back, and subscribe again. */
export const TRY_AGAIN = 1013;
/** To a client that broke a limit. */
export const POLICY = 1008;
/** To a client whose frame is too long. */
export const TOO_BIG = 1009;
/** To a client that closed with a code that there is not. */
export const PROTOCOL_ERROR = 1002;
/** A close frame without a code is told as this one, which is not for sending. */
export const NO_CODE = 1005;
