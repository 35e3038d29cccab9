/** Keyboard shortcuts, and the list of them. */
import { button } from "./controls.js";
import { element } from "./dom.js";

/** @param {Array<[string[], string, function]>} shortcuts keys as KeyboardEvent.key has them. */
export function keyboard(shortcuts) {
  const names = { ArrowLeft: "←", ArrowRight: "→", " ": "space" };
  const rows = shortcuts.flatMap(([keys, text]) => [
    element("dt", {}, ...keys.map((key) => element("kbd", {}, names[key] || key.toUpperCase()))),
    element("dd", {}, text),
  ]);
  const close = button("Close", () => overlay.close(), { class: "strong", autofocus: true });
  const overlay = element("dialog", { class: "keys", "aria-label": "Keyboard shortcuts" },
    element("h2", {}, "Keyboard"), element("dl", {}, ...rows),
    element("p", { class: "note" }, "On the plane of seeds arrow keys move, with Shift to the next seed; on a slider they change it."),
    close);
  overlay.addEventListener("click", (event) => event.target === overlay && overlay.close());
  const all = [...shortcuts, [["?"], "", () => (overlay.open ? overlay.close() : overlay.showModal())]];
  document.addEventListener("keydown", (event) => {
    const open = document.querySelector("dialog[open]");
    if (event.defaultPrevented || event.altKey || isTyping(event) || (open && open !== overlay)) {
      return;
    }
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const name = event.ctrlKey || event.metaKey ? `ctrl+${event.shiftKey ? "shift+" : ""}${key}` : key;
    const match = all.find(([keys]) => keys.includes(name));
    if (match && !(open && name !== "?")) {
      event.preventDefault();
      match[2]();
    }
  });
  return { overlay, opener: button("?", () => overlay.showModal(), { class: "quiet icon", "aria-label": "Keyboard shortcuts", title: "Keyboard shortcuts (?)" }) };
}

/** Whether a key belongs to the control that has the focus. */
function isTyping(event) {
  const target = event.target;
  if (target.isContentEditable || ["TEXTAREA", "SELECT"].includes(target.tagName)) {
    return true;
  }
  if (target.tagName === "INPUT") {
    const chosen = ["checkbox", "radio", "range"].includes(target.type);
    return !chosen || (target.type === "range" && event.key.startsWith("Arrow")) || event.key === " ";
  }
  return event.key === " " && ["BUTTON", "SUMMARY"].includes(target.tagName);
}
