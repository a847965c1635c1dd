/** The server that a command uses. */
import { parseAddress } from "../client/address.ts";
import { type Change, Fanout } from "../client/fanout.ts";
import { faultIn } from "../protocol/errors.ts";
import { Exit, messageOf, REFUSED, TIMED_OUT, UNREACHABLE, USAGE } from "./exits.ts";
import { remark } from "./output.ts";

export interface ServerOptions {
  token?: string | undefined;
  /** Seconds to wait for the server. */
  timeout: number;
  /** Most lines sent per second. */
  linesPerSecond?: number | undefined;
}

export interface Server {
  fanout: Fanout;
  /** Waits for a reply of the server until the timeout. @throws Exit if it is late; Refused */
  inTime<T>(work: Promise<T>): Promise<T>;
  /** Rejects when the server refuses the client for good, such as when it revokes the token. */
  failure: Promise<never>;
}

/** @throws Exit if the address isn't valid */
export function checkAddress(url: string): void {
  try {
    parseAddress(url);
  } catch (error) {
    throw new Exit(USAGE, messageOf(error));
  }
}

/** Whether this program has reported that it can't connect. */
let isFailureReported = false;

/**
 * Reports on standard error if the first attempt to connect gets no response; the client tries again until the timeout.
 * @param onEnd called when a connection ends
 * @throws Exit if the address isn't valid
 */
export function serverAt(url: string, { token, timeout, linesPerSecond }: ServerOptions, onEnd = () => {}): Server {
  checkAddress(url);
  let change: Change | undefined;
  const { promise: failure, reject } = Promise.withResolvers<never>();
  failure.catch(() => {});
  const onState = (next: Change) => {
    if (next.state === "connecting") return;
    // The client's subscriptions survive a revocation, because a program may set another token.
    if (next.state === "failed") reject(new Exit(REFUSED, faultIn(next.reason).why));
    // A failed attempt to reconnect isn't another end.
    if (next.state !== "connected" && change?.state === "connected") onEnd();
    // A refusal, which has a code, may be of one channel only.
    const isWithoutResponse = next.state === "disconnected" && next.willRetry && next.code === 0;
    if (change === undefined && isWithoutResponse && !isFailureReported) {
      isFailureReported = true;
      remark(`${faultIn(next.reason).why}; trying again for ${timeout} s`);
    }
    change = next;
  };
  const fanout = new Fanout(url, { onState, token, rate: linesPerSecond });
  const inTime = <T>(work: Promise<T>) =>
    within(timeout * 1_000, Promise.race([work, failure]), () => tooLate(change, timeout));
  return { fanout, inTime, failure };
}

/** Waits for work. @throws the error that `tooLate` returns if the work isn't done in time */
export async function within<T>(milliseconds: number, work: Promise<T>, tooLate: () => Error): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(tooLate()), milliseconds);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function tooLate(change: Change | undefined, timeout: number): Exit {
  if (change?.state === "connected") return new Exit(TIMED_OUT, `the server didn't reply within ${timeout} s`);
  return new Exit(
    UNREACHABLE,
    change?.reason ? faultIn(change.reason).why : "the server can't be reached; check the address",
  );
}

/** Reports on standard error when the connection is lost and restored. */
export function reportConnection(fanout: Fanout): void {
  let isLost = false;
  let wasConnected = false;
  fanout.on("state", ({ state, reason, willRetry }) => {
    if (state === "connected") {
      if (isLost) remark("connected again");
      isLost = false;
      wasConnected = true;
    } else if (wasConnected && !isLost && willRetry && state === "disconnected") {
      isLost = true;
      remark(`the connection was lost${reason === "" ? "" : ` (${reason})`}; connecting again`);
    }
  });
}
