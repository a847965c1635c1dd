/** Elements: found by what they are, or made with text, which is never markup. */

/**
 * Finds the one element of a selector.
 * @throws Error if there is none of that kind
 */
export function find<Kind extends Element>(root: ParentNode, selector: string, kind: new () => Kind): Kind {
  const element = root.querySelector(selector);
  if (element instanceof kind) return element;
  throw new Error(`the page has no ${selector}`);
}

/** A copy of what a template holds. */
export function copy(template: string): HTMLElement {
  const { content } = find(document, template, HTMLTemplateElement);
  const element = content.firstElementChild?.cloneNode(true);
  if (element instanceof HTMLElement) return element;
  throw new Error(`${template} holds nothing`);
}

/** @param kind the element's class for the style, too */
export function make(tag: string, kind: string, ...content: (string | Node)[]): HTMLElement {
  const element = document.createElement(tag);
  element.className = kind;
  element.append(...content);
  return element;
}
