/** `fanout deploy`: a server in your Cloudflare account, from a folder that has only this package installed. */
import { checkAccess, checkSecret, requiresTokens } from "../deploy/access.ts";
import { nextSteps } from "../deploy/next-steps.ts";
import { checkPassedOn } from "../deploy/options.ts";
import { completeProject, createProject, findConfiguration, secretsOf } from "../deploy/project.ts";
import { nameIn, SECRETS_FILE, summaryOf, valueIn, withoutNames } from "../deploy/secrets.ts";
import { findPackages, readConfiguration, runDeploy, secretsOfWorker, type Wrangler } from "../deploy/wrangler.ts";
import { DONE, Exit, FAILED, USAGE } from "../exits.ts";
import { print, remark } from "../output.ts";
import { environmentWithoutSecrets } from "../secrets.ts";

export interface DeployCommand {
  name?: string;
  open?: boolean;
  dryRun?: boolean;
}

/** The Worker's name if none is given. */
const NAME = "fanout";

/**
 * Deploys the server of the current folder, and writes its files if they are missing.
 * @param passedOn options of `wrangler deploy`
 * @returns the exit code
 */
export async function deploy(
  { name, open = false, dryRun = false }: DeployCommand,
  passedOn: string[],
): Promise<number> {
  checkPassedOn(passedOn);
  const folder = process.cwd();
  const found = findConfiguration(folder);
  const wrangler = findPackages(folder);
  checkSecret(secretsOf(folder) ?? {}, open);
  const file = found ?? (await create(wrangler, folder, name ?? NAME, open));
  const configuration = await readConfiguration(wrangler, file);
  checkName(name, nameIn(configuration), file);
  tell(completeProject(folder, valueIn(configuration, "main")));
  const secrets = secretsOf(folder);
  checkAccess(configuration, file, secrets ?? {}, open);

  // Otherwise CLOUDFLARE_ENV would choose another Worker than the one that is checked here.
  const options = ["--config", file, "--env=", ...(secrets === undefined ? [] : ["--secrets-file", SECRETS_FILE])];
  const env = withoutNames(environmentWithoutSecrets(), secrets ?? {});
  const hasSecret = found !== undefined && secrets?.TOKEN_SECRET !== undefined;
  if (hasSecret && !dryRun) await checkOwner(wrangler, nameIn(configuration));
  const deployment = await runDeploy(wrangler, [...options, ...(dryRun ? ["--dry-run"] : []), ...passedOn], env);
  if (!dryRun && deployment === undefined) throw new Exit(FAILED, "Wrangler ended without a deployment");
  const isOpen = !requiresTokens(configuration) && !secrets?.TOKEN_SECRET;
  const lines = deployment
    ? nextSteps(deployment.targets, configuration, isOpen, secrets)
    : summaryOf(configuration, secrets ?? {});
  await print(lines.join("\n"));
  return DONE;
}

/** Writes the files of a new server; returns its configuration's. @throws Exit if it would replace another Worker */
async function create(wrangler: Wrangler, folder: string, name: string, isOpen: boolean): Promise<string> {
  const deployed = await secretsOfWorker(wrangler, name, environmentWithoutSecrets());
  const isOurs = secretsOf(folder)?.TOKEN_SECRET !== undefined && deployed?.includes("TOKEN_SECRET");
  if (deployed !== undefined && !isOurs) {
    throw new Exit(
      USAGE,
      `your account has a Worker '${name}', which this would replace; choose another name with --name`,
    );
  }
  const { configuration, written } = createProject(folder, name, isOpen);
  tell(written);
  return configuration;
}

/** @throws Exit if a Worker of this name isn't this server, which would have a secret */
async function checkOwner(wrangler: Wrangler, name: string): Promise<void> {
  const deployed = await secretsOfWorker(wrangler, name, environmentWithoutSecrets());
  if (deployed === undefined || deployed.includes("TOKEN_SECRET")) return;
  throw new Exit(
    USAGE,
    `your account's Worker '${name}' has no TOKEN_SECRET; if it's this server, run: npx wrangler secret bulk ${SECRETS_FILE} --name ${name}; otherwise choose another name`,
  );
}

function tell(written: string[]): void {
  if (written.length > 0) remark(`wrote ${written.join(", ")}`);
}

/** @throws Exit if another name is wanted than the one with which the server may be deployed already */
function checkName(wanted: string | undefined, name: string, file: string): void {
  if (wanted === undefined || wanted === name) return;
  throw new Exit(
    USAGE,
    `${file} names this server '${name}'; change it there, or deploy another one from another folder`,
  );
}
