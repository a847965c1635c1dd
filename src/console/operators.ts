/** The section for operators: plots of the service, the channels in use, their trees, and revocation. */
import { ChannelsView } from "./channels-view.ts";
import { claimsOf } from "./claims.ts";
import { find } from "./elements.ts";
import { type Access, fetchPage } from "./operator-page.ts";
import { setUpRevocation } from "./revocation.ts";
import { ServicePlots } from "./service-plots.ts";

/** The interval at which the section checks whether to request figures, in milliseconds. */
const CHECK_EACH = 1_000;

/**
 * Sets up the section, which is visible with a token for operators, and on servers without tokens.
 * @returns a function to call when the page's token changes
 */
export function setUpOperators(access: Access): () => void {
  const section = find(document, "#operators", HTMLElement);
  const details = find(section, "details", HTMLDetailsElement);
  const channels = new ChannelsView(access);
  let plots: ServicePlots | undefined;
  let isOnScreen = false;
  let isListed = false;
  let isCurrent = () => false;
  setUpRevocation(access);

  const proceed = () => {
    if (section.hidden || !details.open || !isOnScreen || document.visibilityState !== "visible") return;
    plots ??= new ServicePlots(access);
    plots.poll();
    if (isListed || access.token() === undefined) return;
    isListed = true;
    channels.list();
  };
  setInterval(proceed, CHECK_EACH);
  details.addEventListener("toggle", proceed);
  new IntersectionObserver((entries) => {
    isOnScreen = entries.at(-1)?.isIntersecting ?? false;
    proceed();
  }).observe(section);

  const update = async () => {
    const token = access.token();
    const isNewest = () => access.token() === token && isCurrent === isNewest;
    isCurrent = isNewest;
    plots?.forget();
    channels.clear();
    isListed = false;
    // Without tokens, the server shows no names, and has nothing to revoke.
    for (const part of section.querySelectorAll<HTMLElement>(".named")) part.hidden = token === undefined;
    find(section, ".unnamed", HTMLElement).hidden = token !== undefined;
    const mayOperate = token === undefined ? "value" in (await fetchPage(access, "info")) : claimsOf(token).operate;
    if (!isNewest()) return;
    section.hidden = !mayOperate;
    proceed();
  };
  update();
  return update;
}
