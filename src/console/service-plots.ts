/** Plots of the whole service, for operators. */
import { find } from "./elements.ts";
import { type Access, fetchPage } from "./operator-page.ts";
import { plotIn } from "./plot.ts";
import { figuresIn, ratesBetween, type ServiceFigures } from "./service-figures.ts";
import { counted, NOT_FANOUT } from "./wording.ts";

/** The least time between requests, in milliseconds; each asks all objects. */
const INTERVAL = 5_000;

export class ServicePlots {
  readonly #access: Access;
  readonly #rates = find(document, "#service-rates", HTMLElement);
  readonly #use = find(document, "#service-use", HTMLElement);
  readonly #plotRates = plotIn(find(this.#rates, ".plot", HTMLElement), "messages/s", [
    { label: "delivered", isDashed: false },
    { label: "announced", isDashed: true },
  ]);
  readonly #plotUse = plotIn(find(this.#use, ".plot", HTMLElement), "count", [
    { label: "connections", isDashed: false },
    { label: "subscriptions", isDashed: true },
  ]);
  #before: { figures: ServiceFigures; at: number } | undefined;
  #requestedAt = Number.NEGATIVE_INFINITY;
  #isPending = false;

  constructor(access: Access) {
    this.#access = access;
  }

  /** Requests the figures, unless that was done in the last seconds. */
  async poll(): Promise<void> {
    const at = performance.now();
    if (this.#isPending || at - this.#requestedAt < INTERVAL) return;
    this.#requestedAt = at;
    this.#isPending = true;
    const token = this.#access.token();
    const answer = await fetchPage(this.#access, "info");
    this.#isPending = false;
    if (this.#access.token() !== token) return;
    const figures = "value" in answer ? figuresIn(answer.value) : undefined;
    if (figures) this.#show(figures, performance.now());
    else this.#say("why" in answer ? answer.why : NOT_FANOUT);
  }

  /** Forgets the last figures, as another token may see other ones. */
  forget(): void {
    this.#before = undefined;
    this.#requestedAt = Number.NEGATIVE_INFINITY;
  }

  #show(figures: ServiceFigures, at: number): void {
    const before = this.#before;
    this.#before = { figures, at };
    const rates = before && ratesBetween(before.figures, figures, (at - before.at) / 1_000);
    const { connections, subscriptions, channels, objects, unreachable } = figures;
    const seconds = Math.floor(Date.now() / 1_000);
    this.#plotRates(seconds, [rates?.messages ?? null, rates?.announcements ?? null]);
    this.#plotUse(seconds, [connections, subscriptions]);
    const missing =
      unreachable > 0 ? `; ${counted(unreachable, "object")} unreachable, so their figures are missing` : "";
    this.#say(
      `${counted(connections, "connection")}, ${counted(subscriptions, "subscription")}, ${counted(channels, "channel")}, ${counted(objects, "object")}${missing}`,
      rates ? `${rounded(rates.messages)} delivered, ${rounded(rates.announcements)} announced per second` : "–",
    );
  }

  #say(use: string, rates = "–"): void {
    find(this.#use, ".now", HTMLElement).textContent = use;
    find(this.#rates, ".now", HTMLElement).textContent = rates;
  }
}

function rounded(rate: number): string {
  return rate.toLocaleString(undefined, { maximumFractionDigits: rate < 10 ? 1 : 0 });
}
