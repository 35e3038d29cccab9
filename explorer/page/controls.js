/** Controls that panels are made of; each has a label, and can be set without telling anybody. */
import { element, freshId } from "./dom.js";
import { clamp } from "./recipe.js";

/**
 * A range with a number beside it.
 * @param {{label: string, low: number, high: number, step: number, oninput: function(number),
 *     onreset?: function(), hint?: string, wide?: boolean}} options wide: the number may lie beyond the range
 * @returns {{node: HTMLElement, set: function(number, boolean=), range: HTMLInputElement}}
 */
export function slider({ label, low, high, step, oninput, onreset, hint, wide }) {
  const id = freshId("slider");
  const limits = { min: String(low), max: String(high), step: String(step) };
  const range = element("input", { type: "range", id, ...limits });
  const bounds = wide ? { step: "any" } : { ...limits, step: "any" };
  const field = element("input", { type: "number", class: "number", ...bounds });
  field.setAttribute("aria-label", `${label}, as a number`);
  const reset = onreset
    ? button("↺", onreset, { class: "quiet reset", "aria-label": `${label}: back to its own`, title: "Back to its own" })
    : null;
  range.addEventListener("input", () => {
    field.value = range.value;
    fill();
    oninput(Number(range.value));
  });
  field.addEventListener("input", () => {
    const value = Number(field.value);
    if (field.value === "" || !Number.isFinite(value)) {
      return;
    }
    const kept = wide ? value : clamp(value, low, high);
    range.value = String(kept);
    fill();
    oninput(kept);
  });
  const fill = () => {
    const share = high > low ? (Number(range.value) - low) / (high - low) : 0;
    range.style.setProperty("--filled", `${100 * clamp(share, 0, 1)}%`);
  };
  const node = element("div", { class: "slider" },
    element("label", { htmlFor: id, title: hint }, label), range, field, reset);
  return {
    node,
    range,
    set(value, own = false) {
      if (document.activeElement !== field) {
        field.value = String(value);
      }
      range.value = String(value);
      node.classList.toggle("own", own);
      if (reset) {
        reset.disabled = own;
      }
      fill();
    },
  };
}

/** @returns {HTMLButtonElement} */
export function button(text, onclick, properties = {}) {
  return element("button", { type: "button", onclick, ...properties }, text);
}

/**
 * A whole number between bounds: tells only values that are one. Of others it says so, and goes back
 * to the value that is shown when it is left; Enter leaves it, so that letters are shortcuts again.
 */
export function wholeNumber({ label, low = 0, high = 2 ** 32 - 1, oninput, name }) {
  const id = freshId("number");
  const field = element("input", {
    type: "number", id, min: String(low), max: String(high), step: "1", inputMode: "numeric",
    ...(name ? { name } : {}),
  });
  const complaint = element("p", { class: "note complaint", role: "alert", hidden: true });
  let shown = "";
  const judge = (good) => {
    field.classList.toggle("wrong", !good);
    field.setAttribute("aria-invalid", String(!good));
    complaint.hidden = good || (field.value === "" && !field.validity.badInput); // empty: more will come
    complaint.textContent = complaint.hidden ? "" : `${label} is a whole number from ${low} to ${high}.`;
  };
  field.addEventListener("input", () => {
    const value = Number(field.value);
    const good = field.value !== "" && Number.isInteger(value) && value >= low && value <= high;
    judge(good);
    if (good) {
      oninput(value);
    }
  });
  field.addEventListener("blur", () => {
    field.value = shown;
    judge(true);
  });
  field.addEventListener("keydown", (event) => event.key === "Enter" && field.blur());
  return {
    node: element("div", { class: "field" }, element("label", { htmlFor: id }, label), field, complaint),
    field,
    set(value) {
      shown = String(value);
      if (document.activeElement !== field || (field.value === "" && !field.validity.badInput)) {
        field.value = shown;
        judge(true);
      }
    },
  };
}

/** One of a few words, as buttons of which one is pressed. */
export function choice({ label, options, onchoose }) {
  const buttons = options.map(([value, text, hint]) =>
    button(text, () => onchoose(value), { "aria-pressed": "false", title: hint || "" }));
  const node = element("div", { class: "choice", role: "group", "aria-label": label }, ...buttons);
  return {
    node,
    set(value) {
      buttons.forEach((one, k) => one.setAttribute("aria-pressed", String(options[k][0] === value)));
    },
  };
}

/** A list to choose from. */
export function selection({ label, options, onchoose, hidden = false }) {
  const id = freshId("select");
  const node = element("select", { id, onchange: () => onchoose(node.value) });
  const fill = (pairs) =>
    node.replaceChildren(...pairs.map(([value, text]) => element("option", { value }, text)));
  fill(options);
  if (hidden) {
    node.setAttribute("aria-label", label);
    return { node, select: node, fill, set: (value) => (node.value = value) };
  }
  const row = element("div", { class: "field" }, element("label", { htmlFor: id }, label), node);
  return { node: row, select: node, fill, set: (value) => (node.value = value) };
}

/** A check box with its label. */
export function checkbox(label, onchange, properties = {}) {
  const box = element("input", { type: "checkbox", onchange: () => onchange(box.checked), ...properties });
  return { node: element("label", { class: "check" }, box, label), box };
}

/** A part of the page that can be folded; whether it is open is remembered. */
export function panel(title, open, ...children) {
  const key = `explorer panel ${title}`;
  const summary = element("summary", {}, element("h2", {}, title));
  const node = element("details", { class: "panel" }, summary, element("div", { class: "body" }, ...children));
  node.open = remembered(key) ? remembered(key) === "open" : open;
  summary.addEventListener("click", () => keep(key, node.open ? "closed" : "open"));
  return node;
}

/** What this browser keeps; null where it keeps nothing (a private window, a file). */
export function remembered(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** @returns {boolean} whether it is kept. */
export function keep(key, value) {
  try {
    localStorage.setItem(key, value);
    return true;
  } catch {
    return false;
  }
}
