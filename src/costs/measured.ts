/** What each kind of event costs on the platform. */
import type { Cost } from "./cost.ts";

/** Kinds of events. Before each event, the objects it concerns have settled. */
export type EventKind =
  | "connecting to an unused channel"
  | "connecting to a channel in use"
  | "leaving a channel still in use"
  | "leaving a channel as its last client"
  | "an object's first subscription to another channel"
  | "another subscription of that object"
  | "unsubscribing while others stay subscribed"
  | "an object's last unsubscribe"
  | "`info`, with 10 objects in use"
  | MessageKind
  | `${MessageKind}, retained`;

/** Kinds of messages. */
export type MessageKind =
  | "a lone message to 10 subscribers, no links"
  | "a lone message from another object"
  | "a lone message by POST"
  | "a lone message, 1 link"
  | "a lone message, 10 links"
  | "one more message immediately after, 10 links"
  | "a message every two seconds for a minute, 10 links";

export type Costs = Record<EventKind, Cost>;

/** The cost of each kind of event, as `tools/bench/costs.ts` measures it. */
export const COSTS: Costs = {
  "connecting to an unused channel": {
    rows: { counted: 1, downstream: 1, upstream: 1 },
    requests: { link: 1, upgrade: 1 },
    seconds: 2,
  },
  "connecting to a channel in use": { rows: {}, requests: { upgrade: 1 }, seconds: 1 },
  "leaving a channel still in use": { rows: {}, requests: {}, seconds: 1 },
  "leaving a channel as its last client": {
    rows: { counted: 1, downstream: 1, everything: 1, service: 1, upstream: 1 },
    requests: { unlink: 1 },
    seconds: 2,
  },
  "an object's first subscription to another channel": {
    rows: { downstream: 1, order: 1, upstream: 1 },
    requests: { link: 1, message: 1 },
    seconds: 2,
  },
  "another subscription of that object": { rows: {}, requests: { message: 1 }, seconds: 1 },
  "unsubscribing while others stay subscribed": { rows: {}, requests: { message: 1 }, seconds: 1 },
  "an object's last unsubscribe": {
    rows: { downstream: 1, everything: 1, order: 1, upstream: 1 },
    requests: { message: 1, unlink: 1 },
    seconds: 2,
  },
  "`info`, with 10 objects in use": {
    rows: {},
    requests: { figures: 10, message: 1, serviceFigures: 1 },
    seconds: 2,
  },
  "a lone message to 10 subscribers, no links": { rows: {}, requests: { message: 1 }, seconds: 1 },
  "a lone message from another object": { rows: {}, requests: { forward: 1, message: 1 }, seconds: 2 },
  "a lone message by POST": { rows: {}, requests: { announce: 1 }, seconds: 1 },
  "a lone message, 1 link": {
    rows: { alarm: 1, order: 1 },
    requests: { alarm: 1, deliver: 1, message: 1 },
    seconds: 2,
  },
  "a lone message, 10 links": {
    rows: { alarm: 1, order: 1 },
    requests: { alarm: 1, deliver: 10, message: 1 },
    seconds: 11,
  },
  "one more message immediately after, 10 links": {
    rows: {},
    requests: { deliver: 10, message: 1 },
    seconds: 1.2,
  },
  "a message every two seconds for a minute, 10 links": {
    rows: { alarm: 30, counted: 11, order: 30 },
    requests: { alarm: 6, deliver: 300, message: 30 },
    seconds: 331,
  },
  "a lone message to 10 subscribers, no links, retained": {
    rows: { alarm: 1, history: 2 },
    requests: { alarm: 1, message: 1 },
    seconds: 2,
  },
  "a lone message from another object, retained": {
    rows: { alarm: 1, history: 2 },
    requests: { alarm: 1, forward: 1, message: 1 },
    seconds: 3,
  },
  "a lone message by POST, retained": {
    rows: { alarm: 1, history: 2 },
    requests: { alarm: 1, announce: 1 },
    seconds: 2,
  },
  "a lone message, 1 link, retained": {
    rows: { alarm: 2, history: 2, order: 1 },
    requests: { alarm: 2, deliver: 1, message: 1 },
    seconds: 3,
  },
  "a lone message, 10 links, retained": {
    rows: { alarm: 2, history: 2, order: 1 },
    requests: { alarm: 2, deliver: 10, message: 1 },
    seconds: 12,
  },
  "one more message immediately after, 10 links, retained": {
    rows: { history: 1 },
    requests: { deliver: 10, message: 1 },
    seconds: 1.2,
  },
  "a message every two seconds for a minute, 10 links, retained": {
    rows: { alarm: 9, counted: 11, history: 35, order: 30 },
    requests: { alarm: 9, deliver: 300, message: 30 },
    seconds: 333,
  },
};
