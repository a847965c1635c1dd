/** The form that computes how much of the Workers free plan a product takes. */
import { find, make } from "./elements.ts";
import { estimate } from "./estimate.ts";

export function setUpCalculator(): void {
  const section = find(document, "#costs", HTMLElement);
  const field = (name: string) => find(section, `[name=${name}]`, HTMLInputElement);
  const fields = { people: field("people"), messages: field("messages"), updates: field("updates") };
  const { people, messages, updates } = fields;
  const update = () => {
    const result = estimate({ people: people.value, messages: messages.value, updates: updates.value });
    const wrong = "wrong" in result ? result.wrong : undefined;
    for (const [name, input] of Object.entries(fields)) input.setAttribute("aria-invalid", String(name === wrong));
    find(section, "[role=status]", HTMLElement).textContent = result.sentence;
    const parts = "wrong" in result ? [] : result.parts;
    find(section, "ul", HTMLElement).replaceChildren(...parts.map((part) => make("li", "", part)));
  };
  const form = find(section, "form", HTMLFormElement);
  form.addEventListener("input", update);
  form.addEventListener("submit", (event) => event.preventDefault());
  update();
}
