/** What is seen below the clients: plots of what goes on, the tree of a channel, and a load to try both with. */
import { find } from "./elements.ts";
import { Load } from "./load.ts";
import type { PageContext } from "./pane.ts";
import { showTraffic } from "./plot.ts";
import { showTree } from "./tree.ts";

/** How often the server is asked for the tree, in seconds: that wakes objects. */
const TREE_EACH = 5;

/** Begins to watch; what it gives is to be called with the channels that there are to choose from. */
export function watch(context: PageContext): (channels: string[]) => void {
  const select = find(document, "#watched", HTMLSelectElement);
  const plot = showTraffic();
  const showLoad = offerLoad(context, () => select.value);
  let [asked, shown] = [0, 0];
  const askForTree = () => {
    const [channel, token] = [select.value, context.token()];
    if (document.visibilityState !== "visible" || channel === "") return;
    asked += 1;
    const turn = asked;
    const isCurrent = () => {
      if (select.value !== channel || context.token() !== token || turn < shown) return false;
      shown = turn;
      return true;
    };
    showTree(context.base, token, channel, isCurrent).catch(() => {});
  };
  let seconds = 0;
  setInterval(() => {
    plot(context.traffic.take());
    showLoad();
    seconds += 1;
    if (seconds % TREE_EACH === 0) askForTree();
  }, 1_000);
  select.addEventListener("change", () => {
    find(document, "#tree", HTMLElement).replaceChildren();
    askForTree();
  });
  return (channels) => {
    const chosen = select.value;
    const options = [...new Set(channels)];
    select.replaceChildren(...options.map((channel) => new Option(channel, channel)));
    if (options.includes(chosen)) select.value = chosen;
    askForTree();
  };
}

/** Has the form start a load, and stop it; what it gives shows how that goes. */
function offerLoad(context: PageContext, channel: () => string): () => void {
  const form = find(document, "#load", HTMLFormElement);
  const [connections, rate] = [
    find(form, "[name=connections]", HTMLInputElement),
    find(form, "[name=rate]", HTMLInputElement),
  ];
  const button = find(form, "button", HTMLButtonElement);
  const said = find(form, "p", HTMLElement);
  let load: Load | undefined;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    load?.stop();
    load = load ? undefined : new Load(context, channel(), connections.valueAsNumber, rate.valueAsNumber);
    button.textContent = load ? "Stop" : "Start";
    said.textContent = "";
  });
  return () => {
    if (!load) return;
    const { connected, announced, delivered, fault } = load.progress;
    const due = connected < load.size ? ` of ${load.size}` : "";
    const figures = [
      `${connected}${due} connected`,
      `${announced} announced`,
      `${delivered.toLocaleString()} delivered`,
    ];
    said.textContent = fault === undefined ? figures.join(", ") : `not announced: ${fault}`;
  };
}
