/**
 * Calls `act` when a request's client has gone. Only the request's signal reports that: the platform cancels the
 * request, and runs no more of its code.
 */
export function onDisconnect({ signal }: Request, act: () => void): void {
  if (signal.aborted) act();
  else signal.addEventListener("abort", act);
}
