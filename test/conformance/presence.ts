/** What the presence commands refuse, on every server. */
import { type Case, error } from "./case.ts";
import { alice } from "./clients.ts";

const LONG = "x".repeat(247);

export const presence: Case[] = [
  {
    title: "members have a name without spaces, on a channel that isn't itself about members",
    tags: ["member-name", "member-data", "member-channel", "error-invalid"],
    steps: [
      alice.connects("/"),
      alice.sends(
        `enter\nenter x\nenter x ${"m".repeat(65)}\nenter presence/x ann\nenter debug ann\nenter ${LONG} ann`,
        `enter x ann ${"d".repeat(1_025)}\nenter x a\u0007nn\nleave\nmembers\nmembers presence/x`,
      ),
      alice.reads(
        error("invalid enter", /channel name is missing/),
        error("invalid enter x", /name of a member is missing/),
        error("invalid enter x", /at most 64 bytes/),
        error("invalid enter presence/x", /about another channel's members/),
        error("invalid enter debug", /reserved/),
        error(`invalid enter ${LONG}`, /at most 246 bytes/),
        error("invalid enter x", /at most 1024 bytes/),
        error("invalid enter x", /no space or control character/),
        error("invalid leave", /channel name is missing/),
        error("invalid members", /channel name is missing/),
        error("invalid members presence/x", /about another channel's members/),
      ),
    ],
  },
  {
    title: "leaving a channel that a connection hasn't entered is harmless",
    steps: [alice.connects("/"), alice.sends("leave x\nleave debug\r\nleave presence/x")],
  },
  {
    title: "only the server announces on presence channels",
    tags: ["error-forbidden"],
    steps: [
      alice.connects("/presence/x"),
      alice.sends("announce presence/x enter eve\nonce key presence/x enter eve"),
      alice.reads(
        error("forbidden announce presence/x", /only the server announces/),
        error("forbidden once key", /only the server announces/),
      ),
    ],
  },
];
