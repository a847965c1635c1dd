/**
 * Everything the protocol does, as conformance cases; `case.ts` explains their notation. They run in the bare runtime
 * and through `wrangler dev`, one after another on one server, each without any other clients.
 */

import { type Case, TIME } from "./case.ts";
import { channels } from "./channels.ts";
import { alice } from "./clients.ts";
import { commands } from "./commands.ts";
import { faults } from "./faults.ts";
import { frames } from "./frames.ts";
import { presence } from "./presence.ts";

const originals: Case[] = [
  {
    title: "a single client receives exactly what the original server sends",
    steps: [
      alice.connects("/"),
      alice.sends("subscribe news\nsubscribe sport\nannounce news hello world\nping\n"),
      alice.reads("news!hello world", TIME),
      alice.sends("announce sport 1:0\n", "announce all to everyone\n", "announce weather rain\n"),
      alice.reads("sport!1:0", "all!to everyone"),
      alice.sends("subscribe news\nannounce news once\nunsubscribe sport\nannounce sport 1:1\nannounce news x!y z \n"),
      alice.reads("news!once", "news!x!y z "),
      alice.sends("unsubscribe sport\nunsubscribe never\nsubscribe sport\nannounce sport 2:1\nping\n"),
      alice.reads("sport!2:1", TIME),
      alice.sends("unsubscribe all\nannounce all hi\nsubscribe all\nannounce all hi again\nunsubscribe news\n\nping\n"),
      alice.reads("all!hi again", TIME),
    ],
  },
];

export const cases: Case[] = [...commands, ...channels, ...frames, ...presence, ...faults, ...originals];
