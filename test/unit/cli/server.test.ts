/** What the program says about its connection. */
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { reportConnection, serverAt, within } from "../../../src/cli/server.ts";
import { breakOff, connectTo, FakeSocket, greet, useFakeTime } from "../client/fakes.ts";

let said: string[] = [];

beforeEach(() => {
  useFakeTime();
  said = [];
  vi.spyOn(process.stderr, "write").mockImplementation((text) => said.push(String(text)) > 0);
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

test("a lost connection is reported once, and so is the next one", async () => {
  const { client } = connectTo();
  reportConnection(client);
  client.subscribe("a");
  await greet("debug!position a 7");
  expect(said).toEqual([]);
  const lost = /^fanout: the connection was lost.*; connecting again\n$/;
  await breakOff(5_000);
  expect(said).toEqual([expect.stringMatching(lost)]);
  await greet("debug!position a 7");
  await breakOff(5_000);
  expect(said.slice(1)).toEqual(["fanout: connected again\n", expect.stringMatching(lost)]);
});

test("work has a time limit, and leaves no timer", async () => {
  expect(await within(1_000, Promise.resolve(5), () => new Error("late"))).toBe(5);
  const late = expect(within(1_000, new Promise(() => {}), () => new Error("late"))).rejects.toThrow("late");
  await vi.advanceTimersByTimeAsync(1_000);
  await late;
  expect(vi.getTimerCount()).toBe(0);
});

test("each end of a connection counts once, and failed attempts don't", async () => {
  vi.stubGlobal("WebSocket", FakeSocket);
  onTestFinished(() => void vi.unstubAllGlobals());
  const onEnd = vi.fn();
  const { fanout } = serverAt("ws://host", { timeout: 3 }, onEnd);
  onTestFinished(() => fanout.close({ within: 0 }));
  fanout.subscribe("a");
  await greet("debug!position a 7");
  expect(onEnd).not.toHaveBeenCalled();
  for (let i = 0; i < 3; i++) {
    await breakOff(5_000);
    expect(onEnd).toHaveBeenCalledTimes(1);
  }
});
