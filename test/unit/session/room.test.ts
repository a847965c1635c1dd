/** How much fits: into attachments, into an object's memory, and into the next flush. */
import { expect, test } from "vitest";
import { fitsItself, sizeOf } from "../../../src/session/attachment.ts";
import { SendBudget } from "../../../src/session/send-budget.ts";
import { Subscriptions } from "../../../src/session/subscriptions.ts";
import { ClientSocket, connectionsOf } from "../sockets.ts";

const grantsOf = (...subscribe: string[]) => ({ subscribe, announce: [], until: 1e13, key: "key" });

/** A connection whose attachment has room for fewer bytes than the longest name. */
function almostFull(grants?: ReturnType<typeof grantsOf>) {
  const all = connectionsOf();
  const connection = all.accept(new ClientSocket(), grants);
  for (let i = 0; fitsItself(connection.size + 260); i++) all.subscribe(connection, `${i}`.padEnd(250, "x"));
  return { all, connection };
}

test("a channel fits if its name does", () => {
  const { all, connection } = almostFull();
  expect(all.canSubscribe(connection, "y".repeat(255))).toBe(false);
  expect(all.canSubscribe(connection, "")).toBe(true);
});

test("other grants fit in the place of those before, and only their size remains", () => {
  const [before, others] = [grantsOf("a".repeat(255)), grantsOf("b".repeat(255))];
  const { all, connection } = almostFull(before);
  const { size } = connection;
  expect(all.canGrant(connection, others)).toBe(true);
  expect(all.canGrant(connection, grantsOf("b".repeat(255), "c".repeat(255)))).toBe(false);
  all.grant(connection, others);
  expect(connection.size).toBe(size);
  all.grant(connection, grantsOf());
  expect(connection.size).toBe(size - sizeOf(others) + sizeOf(grantsOf()));
});

test("the first subscription to a channel takes more memory than the others", () => {
  const subscriptions = new Subscriptions();
  const connection = connectionsOf().accept(new ClientSocket(), undefined);
  // 500 bytes and two names each: 32,000,000 bytes are 31,872 of them.
  const name = (i: number) => `${i}`.padEnd(252, "x");
  for (let i = 0; i < 31_872; i++) subscriptions.add(connection, name(i));
  expect([subscriptions.isFull, subscriptions.isCrowded]).toEqual([false, true]);
  subscriptions.add(connection, name(31_872));
  expect(subscriptions.isFull).toBe(true);
  for (let i = 0; i < 10_000; i++) subscriptions.remove(connection, name(i));
  expect([subscriptions.isFull, subscriptions.isCrowded]).toEqual([false, false]);
});

test("a step's messages are smaller if more subscribers get copies, within bounds", () => {
  const all = connectionsOf([], { maxBufferedBytes: 1_000_000, maxPendingBytes: 400_000 });
  const subscribe = () => all.subscribe(all.accept(new ClientSocket(), undefined), "news");
  expect(all.portionSize("news")).toBe(200_000);
  for (let i = 0; i < 2; i++) subscribe();
  expect(all.portionSize("news")).toBe(100_000);
  for (let i = 0; i < 100; i++) subscribe();
  expect(all.portionSize("news")).toBe(16_384);
  expect(connectionsOf().portionSize("news")).toBe(250_000);
});

test("lines are flushed early if they take much of a client's limit, or their copies much of the budget", () => {
  const ofMany = connectionsOf([], { maxBufferedBytes: 1_000_000, maxPendingBytes: 400_000 });
  for (let i = 0; i < 10; i++) ofMany.subscribe(ofMany.accept(new ClientSocket(), undefined), "news");
  ofMany.publish("news", `${"x".repeat(19_000)}\n`);
  expect(ofMany.shouldFlush).toBe(false);
  ofMany.publish("news", `${"x".repeat(2_000)}\n`);
  expect(ofMany.shouldFlush).toBe(true);
  ofMany.flush();
  expect(ofMany.shouldFlush).toBe(false);
  const ofOne = connectionsOf([], { maxBufferedBytes: 100_000, maxPendingBytes: 8_000_000 });
  const connection = ofOne.accept(new ClientSocket(), undefined);
  ofOne.send(connection, `${"x".repeat(24_999)}\n`);
  expect(ofOne.shouldFlush).toBe(false);
  ofOne.send(connection, "x\n");
  expect(ofOne.shouldFlush).toBe(true);
});

test("a commit is awaited when more than half of the budget is unconfirmed", () => {
  const budget = new SendBudget({ maxBufferedBytes: 100, maxPendingBytes: 100 }, () => 0);
  budget.send(budget.newOutput(new ClientSocket()), ["x".repeat(50)]);
  expect(budget.needsConfirmation).toBe(false);
  budget.send(budget.newOutput(new ClientSocket()), ["x"]);
  expect(budget.needsConfirmation).toBe(true);
  budget.confirm(1);
  budget.confirm(0);
  expect(budget.needsConfirmation).toBe(false);
});
