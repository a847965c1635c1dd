/** The form that revokes the tokens of a subject, after a confirmation. */
import { claimsOf } from "./claims.ts";
import { find } from "./elements.ts";
import { type Access, fetchPage } from "./operator-page.ts";
import { outcomeOf } from "./wording.ts";

export function setUpRevocation(access: Access): void {
  const form = find(document, "#revoke", HTMLFormElement);
  const input = find(form, "input", HTMLInputElement);
  const status = find(form, "[role=status]", HTMLElement);
  const dialog = find(document, "#confirm", HTMLDialogElement);
  const [name, own] = [find(dialog, "bdi", HTMLElement), find(dialog, ".own", HTMLElement)];
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    name.textContent = input.value;
    own.hidden = claimsOf(access.token() ?? "").sub !== input.value;
    dialog.returnValue = "";
    dialog.showModal();
  });
  dialog.addEventListener("close", async () => {
    if (dialog.returnValue !== "revoke") return;
    const sub = name.textContent ?? "";
    status.textContent = `Revoking ${sub}…`;
    const answer = await fetchPage(access, "revoke", JSON.stringify({ sub }));
    status.textContent = "value" in answer ? outcomeOf(sub, answer.value) : `Not revoked: ${answer.why}`;
  });
}
