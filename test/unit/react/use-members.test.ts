import { act, createElement } from "react";
import { renderToString } from "react-dom/server";
import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import type { MemberChange } from "../../../src/client/fanout.ts";
import { type Followed, membersStoreOf } from "../../../src/react/members-view.ts";
import { type MembersClient, type MembersOptions, useMembers } from "../../../src/react/use-members.ts";
import { breakOff, connectTo, FakeSocket, greet, useFakeTime } from "../client/fakes.ts";
import { mount, pass } from "./mounting.ts";

beforeEach(useFakeTime);

interface Props extends MembersOptions {
  channel?: string;
}

/** Mounts a component that shows the members of a channel. */
function show(client: MembersClient, props: Props = {}) {
  return mount(({ channel = "chat", ...options }: Props) => useMembers(client, channel, options), props);
}

/** Shows the members `ann` and `bob` of the channel `chat`, at position 7. */
async function listed() {
  const { client } = connectTo();
  const shown = await show(client);
  const socket = await greet("debug!position presence/chat 7");
  const list = ["debug!members chat 7 2", "debug!member chat ann 1", "debug!member chat bob"];
  // StrictMode has asked twice, and needs only the second.
  socket.receive(...list, ...list);
  await pass(20);
  return { client, shown, socket };
}

test("it shows the members, and then their changes", async () => {
  const { shown, socket } = await listed();
  const [ann, bob] = [
    { member: "ann", data: "1" },
    { member: "bob", data: "" },
  ];
  expect(shown.result).toEqual({ members: [ann, bob], state: "subscribed", error: undefined });
  socket.receive("presence/chat!leave ann", "presence/chat!enter carl", "presence/chat!update bob x");
  await pass(20);
  const members = [
    { member: "bob", data: "x" },
    { member: "carl", data: "" },
  ];
  expect(shown.result.members).toEqual(members);
});

test("a burst renders once, and a list is new only if a member has changed", async () => {
  const { shown, socket } = await listed();
  const [before, renders] = [shown.result, shown.results.length];
  for (let i = 0; i < 50; i++) socket.receive(`presence/chat!update bob ${i}`);
  expect(shown.result).toBe(before);
  await pass(20);
  // StrictMode renders twice.
  expect(shown.results.length).toBe(renders + 2);
  const after = shown.result;
  expect([after.members === before.members, after.members[0] === before.members[0]]).toEqual([false, true]);
  socket.receive("presence/chat!update bob 49", "chat!update bob 50");
  await pass(100);
  expect(shown.result).toBe(after);
  await act(() => breakOff(1_000));
  expect(shown.result.state).toBe("subscribing");
  expect(shown.result.members).toBe(after.members);
});

test("unmounting ends it", async () => {
  const { shown, socket } = await listed();
  await shown.unmount();
  await pass(20);
  expect(socket.lines.at(-1)).toBe("unsubscribe presence/chat");
});

test("another channel starts with an empty list", async () => {
  const { shown, socket } = await listed();
  await shown.render({ channel: "news" });
  expect(shown.result).toEqual({ members: [], state: "subscribing", error: undefined });
  await pass(0);
  expect(socket.lines).toContain("members news");
  socket.receive("debug!position presence/news 3", "debug!members news 3 1", "debug!member news zoe");
  await pass(20);
  expect(shown.result.members).toEqual([{ member: "zoe", data: "" }]);
});

test("a disabled hook doesn't connect", async () => {
  const { client } = connectTo();
  const shown = await show(client, { enabled: false });
  await pass(1_000);
  expect(shown.result).toEqual({ members: [], state: "unsubscribed", error: undefined });
  expect(FakeSocket.made).toEqual([]);
  await shown.render({ enabled: true });
  expect(shown.result.state).toBe("subscribing");
});

test("a refusal is shown", async () => {
  const { client } = connectTo();
  const shown = await show(client);
  (await greet()).receive("debug!error forbidden subscribe presence/chat: your token doesn't grant this");
  await pass(20);
  expect(shown.result).toMatchObject({ state: "unsubscribed", error: { code: "forbidden" } });
});

test("an invalid channel throws, for an error boundary", async () => {
  const { client } = connectTo();
  vi.spyOn(console, "error").mockImplementation(() => {});
  onTestFinished(() => void vi.restoreAllMocks());
  // StrictMode mounts twice.
  const why = expect.objectContaining({ message: expect.stringContaining("text that doesn't begin with `presence/`") });
  await expect(show(client, { channel: "presence/chat" })).rejects.toMatchObject({ errors: [why, why] });
});

test("on a server it renders an empty list, and doesn't connect", () => {
  const { client } = connectTo();
  const Component = () => JSON.stringify(useMembers(client, "chat"));
  expect(renderToString(createElement(Component))).toContain("subscribing");
  expect(FakeSocket.made).toEqual([]);
});

test("tests can pass in a fake", async () => {
  const followed: Followed = { on: () => () => {}, unsubscribe: () => {} };
  const shown = await show({ members: () => followed });
  expect(shown.result.members).toEqual([]);
});

test("a change just before the end of a subscription isn't shown after it", async () => {
  const listeners = new Map<string, (event: MemberChange) => void>();
  const followed: Followed = {
    on: (kind, listener) => {
      listeners.set(kind, (event) => Reflect.apply(listener, undefined, [event]));
      return () => {};
    },
    unsubscribe: () => {},
  };
  const store = membersStoreOf(() => followed);
  const changed = vi.fn();
  const end = store.subscribe(changed);
  listeners.get("added")?.({ kind: "added", channel: "chat", member: "ann", data: "" });
  end();
  await vi.advanceTimersByTimeAsync(100);
  expect([changed.mock.calls, store.read().members]).toEqual([[], []]);
});

test("a list that is closed and opened again doesn't show that the closed one has ended", async () => {
  const { client } = connectTo();
  const store = membersStoreOf(() => client.members("chat"));
  const end = store.subscribe(() => {});
  await greet("debug!position presence/chat 7", "debug!members chat 7 0");
  await vi.advanceTimersByTimeAsync(100);
  expect(store.read().state).toBe("subscribed");
  end();
  onTestFinished(store.subscribe(() => {}));
  await vi.advanceTimersByTimeAsync(100);
  expect(store.read().state).toBe("subscribing");
});
