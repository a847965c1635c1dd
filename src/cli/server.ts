/** The server that a command uses. */
import { parseAddress } from "../client/address.ts";
import { type Change, Fanout, Refused } from "../client/fanout.ts";
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
  /** Waits for a reply of the server until the timeout. @throws Exit if it is late or refused */
  inTime<T>(work: Promise<T>): Promise<T>;
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
  const onState = (next: Change) => {
    if (next.state === "connecting") return;
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
  return { fanout, inTime: (work) => refusable(within(timeout * 1_000, work, () => tooLate(change, timeout))) };
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

/** Waits for a reply of the server. @throws Exit if the server refuses the command */
export async function refusable<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw error instanceof Refused ? new Exit(REFUSED, error.message) : error;
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
