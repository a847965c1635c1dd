/** Estimates the share of the Workers free plan that a product takes, from the fields of a form. */
import { type Day, FREE, percent, shares, type Use, usedIn, whole } from "../costs/free-plan.ts";
import { COSTS } from "../costs/measured.ts";

/** The text in each field. */
export type Fields = Record<keyof Day, string>;

/** A sentence with the use of each limit, or a sentence about the first wrong field. */
export type Estimate = { sentence: string; parts: string[] } | { wrong: keyof Day; sentence: string };

/** A field for whole numbers from `least` to `most`. */
interface Field {
  name: string;
  least: number;
  most: number;
  /** A sentence about larger numbers. */
  why?: string;
}

const FIELDS: Record<keyof Day, Field> = {
  people: { name: "People", least: 1, most: 10_000, why: "More of them need several objects, which cost more." },
  messages: { name: "Messages", least: 0, most: 1_000_000_000 },
  updates: { name: "Updates", least: 0, most: 1_000_000_000 },
};

const LIMITS: Record<keyof Use, string> = {
  rows: "rows written",
  requests: "requests to objects",
  seconds: "seconds in memory",
};

export function estimate(fields: Fields): Estimate {
  const day: Day = { people: 0, messages: 0, updates: 0 };
  for (const key of ["people", "messages", "updates"] as const) {
    const number = wholeNumber(fields[key]);
    const { name, least, most, why } = FIELDS[key];
    if (number === undefined || number < least || number > most) {
      const range = `${name} a day must be a whole number from ${whole(least)} to ${whole(most)}.`;
      const isTooMany = number !== undefined && number > most;
      return { wrong: key, sentence: isTooMany && why !== undefined ? `${range} ${why}` : range };
    }
    day[key] = number;
  }
  const use = usedIn(COSTS, day);
  const [rows = 0, requests = 0, seconds = 0] = shares(use, FREE);
  const share = { rows, requests, seconds };
  const keys = ["rows", "requests", "seconds"] as const;
  const largest = keys.reduce((one, other) => (share[other] > share[one] ? other : one));
  const excess = share[largest] > 1 ? `, more than it carries: the ${LIMITS[largest]} run out` : "";
  return {
    sentence: `${described(day)} take ${percentOf(share[largest])} of the Workers free plan${excess}.`,
    parts: keys.map((key) => {
      return `${whole(Math.ceil(use[key]))} of ${whole(Math.floor(FREE[key]))} ${LIMITS[key]} (${percentOf(share[key])})`;
    }),
  };
}

/** Parses a whole number, in which commas and spaces may separate thousands. */
function wholeNumber(text: string): number | undefined {
  const digits = text.trim().replace(/(?<=\d)[,\s](?=\d{3}(?!\d))/g, "");
  return /^\d{1,15}$/.test(digits) ? Number(digits) : undefined;
}

function described({ people, messages, updates }: Day): string {
  const counted = (count: number, one: string, many: string) => `${whole(count)} ${count === 1 ? one : many}`;
  const parts = [counted(people, "person", "people"), counted(messages, "message", "messages")];
  return `${parts.join(", ")} and ${counted(updates, "update", "updates")} a day`;
}

/** Formats a share; rounding down to nothing would look free. */
function percentOf(share: number): string {
  return share < 0.005 ? "less than 1 %" : percent(share);
}
