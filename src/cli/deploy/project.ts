/** The folder of a deployed server: writes the files that are missing, and never changes those that exist. */
import { randomBytes } from "node:crypto";
import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { codeOf, Exit, LOCAL, messageOf, USAGE } from "../exits.ts";
import { readSecrets, SECRETS_FILE, type Variables } from "./secrets.ts";
import { configurationOf, MARK, WORKER, WORKER_FILE } from "./templates.ts";

/** Wrangler's configurations; it may be converted from the first one, which a first run writes, to another. */
const CONFIGURATIONS = ["wrangler.toml", "wrangler.jsonc", "wrangler.json"];

const IGNORED = ".gitignore";

/** Random bytes of a new secret. */
const SECRET_BYTES = 32;

export interface Project {
  /** The file of Wrangler's configuration. */
  configuration: string;
  /** The files that were missing, and are now written. */
  written: string[];
}

/**
 * Returns the configuration that an earlier run wrote; undefined if there is none.
 * @throws Exit if the folder has another project
 */
export function findConfiguration(folder: string): string | undefined {
  const [found, ...others] = CONFIGURATIONS.filter((name) => existsSync(join(folder, name)));
  if (others.length > 0)
    throw new Exit(USAGE, `this folder has ${found} and ${others.join(", ")}; keep only one of them`);
  for (const name of [found, found === undefined ? WORKER_FILE : undefined]) {
    if (name !== undefined && existsSync(join(folder, name)) && !read(folder, name).includes(MARK)) throw foreign(name);
  }
  return found;
}

function foreign(name: string): Exit {
  return new Exit(
    USAGE,
    `${name} belongs to another project; run this in another folder, or mount the server inside that project's own Worker`,
  );
}

/** Writes all files of a new server. Secrets come first, so that an interrupted run leaves no open server. @throws Exit */
export function createProject(folder: string, name: string, isOpen: boolean): Project {
  const written = isOpen ? [] : createSecret(folder);
  const [configuration = ""] = CONFIGURATIONS;
  if (create(folder, WORKER_FILE, WORKER)) written.push(WORKER_FILE);
  if (create(folder, configuration, configurationOf(name, isOpen))) written.push(configuration);
  return { configuration, written };
}

/**
 * Writes the Worker that the configuration names if it is missing.
 * @returns the files that were missing, and are now written
 * @throws Exit
 */
export function completeProject(folder: string, main: unknown): string[] {
  return main === WORKER_FILE && create(folder, WORKER_FILE, WORKER) ? [WORKER_FILE] : [];
}

/** Makes a secret, unless the folder has one; git ignores its file before it exists. */
function createSecret(folder: string): string[] {
  const secrets = secretsOf(folder);
  if (secrets !== undefined) {
    if ("TOKEN_SECRET" in secrets) return ignore(folder, SECRETS_FILE) ? [IGNORED] : [];
    throw new Exit(USAGE, `${SECRETS_FILE} has no TOKEN_SECRET; add one, as from: openssl rand -base64 32`);
  }
  const isIgnored = ignore(folder, SECRETS_FILE);
  const secret = randomBytes(SECRET_BYTES).toString("base64url");
  const isNew = create(folder, SECRETS_FILE, `TOKEN_SECRET=${secret}\n`, 0o600);
  return [...(isNew ? [SECRETS_FILE] : []), ...(isIgnored ? [IGNORED] : [])];
}

/** Returns the secrets of a folder by name; undefined without their file. @throws Exit if they can't be read */
export function secretsOf(folder: string): Variables | undefined {
  try {
    return readSecrets(folder);
  } catch (error) {
    throw new Exit(LOCAL, `${SECRETS_FILE} can't be read: ${messageOf(error)}`);
  }
}

/** Adds a file to those that git ignores, unless it is among them; returns whether it was added. */
function ignore(folder: string, name: string): boolean {
  const file = join(folder, IGNORED);
  const text = existsSync(file) ? read(folder, IGNORED) : "";
  if (text.split(/\r?\n/).some((line) => line.trim().replace(/^\//, "") === name)) return false;
  try {
    appendFileSync(file, `${text === "" || text.endsWith("\n") ? "" : "\n"}${name}\n`);
    return true;
  } catch (error) {
    throw new Exit(LOCAL, `${IGNORED} can't be written: ${messageOf(error)}`);
  }
}

function read(folder: string, name: string): string {
  try {
    return readFileSync(join(folder, name), "utf8");
  } catch (error) {
    throw new Exit(LOCAL, `${name} can't be read: ${messageOf(error)}`);
  }
}

/** Writes a file unless it exists; returns whether it was written. @throws Exit, with no part of the file left */
function create(folder: string, name: string, text: string, mode = 0o666): boolean {
  const file = join(folder, name);
  try {
    writeFileSync(file, text, { flag: "wx", mode });
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    // A part of it, if the disk is full.
    rmSync(file, { force: true });
    throw new Exit(LOCAL, `${name} can't be written: ${messageOf(error)}`);
  }
}
