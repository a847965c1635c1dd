/** The section below the clients: plots, the channel's tree, and a load test. */
import { find } from "./elements.ts";
import { Load } from "./load.ts";
import type { PageContext } from "./pane.ts";
import { showTraffic } from "./plot.ts";
import { showTree } from "./tree.ts";

/** The interval of tree requests, in seconds; each wakes objects. */
const TREE_INTERVAL = 5;

/** Starts the section; returns a function that sets the selectable channels. */
export function showActivity(context: PageContext): (channels: string[]) => void {
  const select = find(document, "#activity-channel", HTMLSelectElement);
  const tree = find(document, "#tree", HTMLElement);
  const plot = showTraffic();
  const updateLoad = setUpLoad(context, () => select.value);
  let [lastRequest, lastShown] = [0, 0];
  const fetchTree = () => {
    const [channel, token] = [select.value, context.token()];
    if (document.visibilityState !== "visible" || channel === "") return;
    lastRequest += 1;
    const request = lastRequest;
    const isCurrent = () => {
      if (select.value !== channel || context.token() !== token || request < lastShown) return false;
      lastShown = request;
      return true;
    };
    showTree(tree, context.base, token, channel, isCurrent).catch(() => {});
  };
  let seconds = 0;
  setInterval(() => {
    plot(context.traffic.next());
    updateLoad();
    seconds += 1;
    if (seconds % TREE_INTERVAL === 0) fetchTree();
  }, 1_000);
  select.addEventListener("change", () => {
    tree.replaceChildren();
    fetchTree();
  });
  return (channels) => {
    const chosen = select.value;
    const options = [...new Set(channels)];
    select.replaceChildren(...options.map((channel) => new Option(channel, channel)));
    if (options.includes(chosen)) select.value = chosen;
    fetchTree();
  };
}

/** Sets up the load test's form; returns a function that updates its progress. */
function setUpLoad(context: PageContext, channel: () => string): () => void {
  const form = find(document, "#load", HTMLFormElement);
  const [connections, rate] = [
    find(form, "[name=connections]", HTMLInputElement),
    find(form, "[name=rate]", HTMLInputElement),
  ];
  const button = find(form, "button", HTMLButtonElement);
  const status = find(form, "p", HTMLElement);
  let load: Load | undefined;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    load?.stop();
    load = load ? undefined : new Load(context, channel(), connections.valueAsNumber, rate.valueAsNumber);
    button.textContent = load ? "Stop" : "Start";
    status.textContent = "";
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
    status.textContent = fault === undefined ? figures.join(", ") : `not announced: ${fault}`;
  };
}
