/** The class of a network with labels: one, several in shares, or the seed's number's. */
import { button, panel, selection, slider } from "./controls.js";
import { element } from "./dom.js";
import { classesOf, same } from "./recipe.js";

const FEW = 16; // classes that get a slider each; of more, those that were added do

export function classPanel(store, networks) {
  const size = Math.max(...networks.map((network) => network.label_size));
  if (!size) {
    return null;
  }
  const bySeed = ["seed", "By the seed: its number gives the class"];
  const names = Array.from({ length: size }, (_, index) => [String(index), `Class ${index}`]);
  const one = selection({
    label: "Class",
    options: [bySeed, ...names.slice(0, 1000), ["mixed", "Mixed"]],
    onchoose: (value) => choose(store, value, size),
  });
  const adding = element("div", { class: "row" });
  const mixer = element("div", { class: "mixer" });
  const body = element("div", {}, one.node, size > FEW ? adding : null, mixer);
  if (size > FEW) {
    adding.append(...adder(store, size));
  }
  let shown = [];
  let sliders = new Map();
  const show = () => {
    const { labels } = store.recipe;
    const mix = classesOf(store.recipe, size);
    one.set(labels === null ? "seed" : labels.length === 1 ? String(labels[0][0]) : "mixed");
    const wanted = size <= FEW ? names.map((_, index) => index) : mix.map(([index]) => index);
    if (!same(shown, wanted)) {
      shown = wanted;
      sliders = new Map(wanted.map((index) => [index, weightSlider(store, index, size)]));
      mixer.replaceChildren(...[...sliders.values()].map((control) => control.node));
    }
    const weights = new Map(labels || mix);
    const total = [...weights.values()].reduce((sum, weight) => sum + weight, 0) || 1;
    for (const [index, control] of sliders) {
      const weight = weights.get(index) || 0;
      control.set(weight);
      control.node.classList.toggle("off", !weight);
      control.node.title = `${Math.round((100 * weight) / total)} % of the label`;
    }
  };
  store.onchange(show);
  show();
  return panel("Class", true, body);
}

function choose(store, value, size) {
  if (value === "seed") {
    store.set({ labels: null });
  } else if (value === "mixed") {
    const [[index]] = classesOf(store.recipe, size);
    store.set({ labels: size > 1 ? [[index, 1], [(index + 1) % size, 1]] : [[index, 1]] });
  } else {
    store.set({ labels: [[Number(value), 1]] });
  }
}

/** Any of many classes, found by typing. */
function adder(store, size) {
  const field = element("input", { type: "number", min: "0", max: String(size - 1), step: "1", placeholder: `0 to ${size - 1}` });
  field.setAttribute("aria-label", "Class to add");
  const add = () => {
    const index = Number(field.value);
    if (field.value !== "" && Number.isInteger(index) && index >= 0 && index < size) {
      weigh(store, size, index, 1);
      field.value = "";
    }
  };
  field.addEventListener("keydown", (event) => event.key === "Enter" && add());
  return [field, button("Add class", add)];
}

function weightSlider(store, index, size) {
  return slider({
    label: String(index), low: 0, high: 1, step: 0.01,
    hint: `Share of class ${index}; all shares are divided by their sum`,
    oninput: (weight) => weigh(store, size, index, weight),
  });
}

/** Sets a class's weight; the last one cannot go. */
function weigh(store, size, index, weight) {
  const weights = new Map(store.recipe.labels || classesOf(store.recipe, size));
  weights.set(index, weight);
  const labels = [...weights].filter(([, value]) => value > 0).sort((a, b) => a[0] - b[0]);
  if (labels.length) {
    store.set({ labels });
  }
}
