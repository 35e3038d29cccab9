/** The class of a network with labels: one, several in shares, or the seed's number's. */
import { button, choice, panel, selection, slider } from "./controls.js";
import { element } from "./dom.js";
import { classesOf, same } from "./recipe.js";

const LISTED = 2000; // classes in the list; the others are added by their number
const FEW = 16; // classes that get a slider each; of more, those that were added do

export function classPanel(store, networks) {
  const size = Math.max(...networks.map((network) => network.label_size));
  if (!size) {
    return null;
  }
  const classes = Array.from({ length: size }, (_, index) => index);
  const one = size <= FEW ? fewClasses(store, classes) : manyClasses(store, size);
  const mixer = element("div", { class: "mixer" });
  const mixing = element("details", { class: "sub" },
    element("summary", {}, "Mix classes"),
    size > FEW ? element("div", { class: "row" }, ...adder(store, size)) : null, mixer);
  let shown = [];
  let sliders = new Map();
  const show = () => {
    const { labels } = store.recipe;
    const mix = classesOf(store.recipe, size);
    one.set(labels === null ? "seed" : labels.length === 1 ? String(labels[0][0]) : "mixed");
    mixing.open ||= labels !== null && labels.length > 1;
    const wanted = size <= FEW ? classes : mix.map(([index]) => index);
    if (!same(shown, wanted)) {
      shown = wanted;
      sliders = new Map(wanted.map((index) => [index, weightSlider(store, index, size)]));
      mixer.replaceChildren(...[...sliders.values()].map((control) => control.node));
    }
    showWeights(sliders, new Map(labels || mix));
  };
  store.onchange(show);
  show();
  return panel("Class", true, one.node, mixing);
}

function showWeights(sliders, weights) {
  const total = [...weights.values()].reduce((sum, weight) => sum + weight, 0) || 1;
  for (const [index, control] of sliders) {
    const weight = weights.get(index) || 0;
    control.set(weight);
    control.node.classList.toggle("off", !weight);
    control.node.title = `${Math.round((100 * weight) / total)} % of the label`;
  }
}

/** A button each. */
function fewClasses(store, classes) {
  const options = [
    ["seed", "By seed", "The seed's number gives the class: seed 12 of 10 classes has class 2"],
    ...classes.map((index) => [String(index), String(index), `Class ${index}`]),
  ];
  const buttons = choice({ label: "Class", options, onchoose: (value) => choose(store, value) });
  buttons.node.classList.add("chips");
  return buttons;
}

/** A list in which typing a number finds the class. */
function manyClasses(store, size) {
  const names = Array.from({ length: Math.min(size, LISTED) }, (_, index) => [String(index), String(index)]);
  const options = [["seed", "By the seed's number"], ...names, ["mixed", "Mixed"]];
  return selection({ label: "Class", options, onchoose: (value) => choose(store, value) });
}

function choose(store, value) {
  if (value !== "mixed") {
    store.set({ labels: value === "seed" ? null : [[Number(value), 1]] });
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
