/** Asks the questions, and collects the answers. */
import type { Platform } from "./platform.ts";
import { failed, type Options, type Question, type Row } from "./question.ts";
import { buffered } from "./questions/buffered.ts";
import { atOnce, perEvent } from "./questions/calls.ts";
import { deploys } from "./questions/deploys.ts";
import { depth } from "./questions/depth.ts";
import { failures } from "./questions/failures.ts";
import { alarms, streams } from "./questions/sleep.ts";
import { storage } from "./questions/storage.ts";

/** All questions; their numbers are their positions here, from 1. */
export const QUESTIONS: readonly Question[] = [
  depth,
  atOnce,
  perEvent,
  buffered,
  storage,
  deploys,
  streams,
  failures,
  alarms,
];

/** The answer to a question. */
export interface Answer {
  readonly number: number;
  readonly title: string;
  readonly rows: Row[];
}

/**
 * Asks questions, and returns the answers in order of their numbers.
 * @param numbers the questions to ask; all if empty
 */
export async function probe(platform: Platform, numbers: number[], options: Options): Promise<Answer[]> {
  const asked = QUESTIONS.map((question, index) => ({ question, number: index + 1 })).filter(
    ({ number }) => numbers.length === 0 || numbers.includes(number),
  );
  const during = (when: Question["when"]) => asked.filter(({ question }) => question.when === when);
  const answer = async ({ question, number }: { question: Question; number: number }): Promise<Answer> => {
    options.onStep(`question ${number}`);
    return { number, title: question.title, rows: await rowsOf(question, platform, options) };
  };

  const beside = during("beside").map(answer);
  const answers: Answer[] = [];
  for (const each of during("in turn")) answers.push(await answer(each));
  answers.push(...(await Promise.all(beside)));
  for (const each of during("last")) answers.push(await answer(each));
  return answers.sort((one, other) => one.number - other.number);
}

/** Asks one question; a failure doesn't affect the others. */
async function rowsOf(question: Question, platform: Platform, options: Options): Promise<Row[]> {
  try {
    return await question.ask(platform, options);
  } catch (error) {
    return [{ question: "everything", assumed: "an answer", seen: failed(error) }];
  }
}
