/** The console: clients side by side on one page, each with its own connection. */

import { showActivity } from "./activity.ts";
import { setUpCalculator } from "./calculator.ts";
import { commandsFor } from "./commands.ts";
import { find } from "./elements.ts";
import { setUpOperators } from "./operators.ts";
import { type PageContext, Pane } from "./pane.ts";
import { Traffic } from "./traffic.ts";
import { formatView, MAX_CLIENTS, parseView } from "./view.ts";

/** The channel to open if the address names none. */
const CHANNEL = "news";

const { content: prefix } = find(document, "meta[name=prefix]", HTMLMetaElement);
const first = decodeURIComponent(location.pathname.slice(prefix.length + 1)) || CHANNEL;
const panes: Pane[] = [];
/** Held in memory only. */
let token: string | undefined;

const context: PageContext = {
  base: location.origin + prefix,
  traffic: new Traffic(),
  token: () => token,
  changed: () => {
    for (const pane of panes.filter(({ element }) => !element.isConnected)) panes.splice(panes.indexOf(pane), 1);
    show();
    // The focused element may have been removed.
    if (document.activeElement === document.body) addButton.focus();
  },
};

const setActivityChannels = showActivity(context);

/** Puts the current view into the page's address. */
function show(): void {
  setActivityChannels(panes.flatMap(({ channels }) => channels));
  history.replaceState(null, "", formatView(panes.map(({ channels }) => channels)));
  addButton.disabled = panes.length >= MAX_CLIENTS;
}

find(document, "#start pre", HTMLElement).textContent = commandsFor(context.base, first).join("\n");

setUpCalculator();

const updateOperators = setUpOperators(context);

let names = 0;

function addPane(channels: string[]): void {
  names += 1;
  const pane = new Pane(`Client ${names}`, channels, context);
  find(document, "#panes", HTMLElement).append(pane.element);
  panes.push(pane);
}

const addButton = find(document, "#add", HTMLButtonElement);
addButton.addEventListener("click", () => {
  const { channels = [first] } = panes.find((pane) => pane.channels.length > 0) ?? {};
  addPane(channels);
  show();
});

const tokenForm = find(document, "#token", HTMLFormElement);
tokenForm.addEventListener("submit", (event) => {
  event.preventDefault();
  token = find(tokenForm, "input", HTMLInputElement).value.trim() || undefined;
  for (const pane of panes) pane.restart();
  updateOperators();
  show();
});

addEventListener("hashchange", () => location.reload());

for (const channels of parseView(location.hash, first)) addPane(channels);
show();
