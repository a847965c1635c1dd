/** Finds and creates elements. Text is never parsed as markup. */

/**
 * Finds the first element that matches a selector.
 * @throws Error if it doesn't exist or has another type
 */
export function find<Kind extends Element>(root: ParentNode, selector: string, kind: new () => Kind): Kind {
  const element = root.querySelector(selector);
  if (element instanceof kind) return element;
  throw new Error(`the page has no ${selector}`);
}

/** Copies the content of a template. */
export function copy(template: string): HTMLElement {
  const { content } = find(document, template, HTMLTemplateElement);
  const element = content.firstElementChild?.cloneNode(true);
  if (element instanceof HTMLElement) return element;
  throw new Error(`${template} is empty`);
}

/** @param kind the CSS class */
export function make(tag: string, kind: string, ...content: (string | Node)[]): HTMLElement {
  const element = document.createElement(tag);
  element.className = kind;
  element.append(...content);
  return element;
}
