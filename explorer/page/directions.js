/** Directions in w, with what was measured of them. */
import { button, panel, selection, slider } from "./controls.js";
import { element } from "./dom.js";
import { clamp } from "./recipe.js";

const REACH = 5; // units, to either side

export function directionsPanel(store, networks) {
  const directions = new Map(networks.flatMap((network) => network.directions.map((one) => [one.name, one])));
  if (!directions.size) {
    return null;
  }
  const controls = new Map([...directions.values()].map((one) => [one.name, directionControl(store, one)]));
  const list = element("div", { class: "directions" });
  const orders = {
    effect: (one, other) => strength(other) - strength(one),
    file: () => 0,
    name: (one, other) => one.name.localeCompare(other.name),
  };
  const arrange = (order) => {
    const sorted = [...directions.values()].sort(orders[order]);
    list.replaceChildren(...sorted.map((one) => controls.get(one.name).node));
  };
  const order = selection({
    label: "Order",
    options: [["effect", "By effect"], ["file", "As in the file"], ["name", "By name"]],
    onchoose: arrange,
  });
  const reset = button("Reset all", () => store.set({ edits: {} }));
  arrange("effect");
  const show = () => {
    for (const [name, control] of controls) {
      const units = store.recipe.edits[name] || 0;
      control.set(units);
    }
    reset.disabled = !Object.values(store.recipe.edits).some(Boolean);
  };
  store.onchange(show);
  show();
  const measured = [...directions.values()].some((one) => one.effect);
  const note = element("p", { class: "note" }, measured
    ? `A unit is one standard deviation. Effects are in points of 100 a unit${several(directions)}.`
    : "A unit is one standard deviation.");
  return panel("Directions", true, element("div", { class: "row" }, order.node, reset), note, list);
}

/** Pixels have a scale of their own. */
function several(directions) {
  return [...directions.values()].some((one) => /pixels \d/.test(one.effect || "")) ? "; of pixels, how much they change" : "";
}

/** An effect's text without the scale, which is said once above the list. */
function inShort(effect) {
  return effect.replace(/ points of 100 a unit(?=;|$)/, "").replace(/ a unit$/, "").replace(/(^|\s)-(?=\d)/g, "$1−");
}

/** The first signed number of an effect's text, which is how much it does; names may hold others. */
function strength(direction) {
  const number = (direction.effect || "").match(/(?:^|\s)[-+](\d+(?:\.\d+)?)/);
  return number ? Number(number[1]) : 0;
}

function directionControl(store, direction) {
  const put = (units) => {
    const edits = { ...store.recipe.edits };
    delete edits[direction.name];
    store.set({ edits: units ? { ...edits, [direction.name]: units } : edits });
  };
  const control = slider({
    label: direction.name, low: -REACH, high: REACH, step: 0.1, wide: true,
    hint: `${direction.kind}, layers ${direction.layers[0]} to ${direction.layers[1] - 1}; in standard deviations`,
    oninput: put, onreset: () => put(0),
  });
  const limit = direction.saturates;
  const effect = element("p", { class: "note effect" },
    direction.effect ? inShort(direction.effect) : `${direction.kind}: not measured`);
  if (limit !== null && limit !== undefined && limit < REACH) {
    // Beyond this, another unit changes little, or images fall apart: the track says so.
    control.range.classList.add("limited");
    const share = (value) => `${(100 * (clamp(value, -REACH, REACH) + REACH)) / (2 * REACH)}%`;
    control.range.style.setProperty("--from", share(-limit));
    control.range.style.setProperty("--to", share(limit));
    effect.append(`; saturates at ±${limit}`);
  }
  const node = element("div", { class: "direction" }, control.node, effect);
  return {
    node,
    set(units) {
      control.set(units, units === 0);
      node.classList.toggle("beyond", limit !== null && limit !== undefined && Math.abs(units) > limit);
    },
  };
}
