/** Style mixing: some layers take their w from other seeds. */
import { button, panel, wholeNumber } from "./controls.js";
import { element } from "./dom.js";
import { mainSeed, same } from "./recipe.js";

/** The paper's groups, by the resolution of a layer. */
const GROUPS = [
  ["Coarse", (resolution) => resolution <= 8, "Layers up to 8×8: pose, shape"],
  ["Middle", (resolution) => resolution > 8 && resolution <= 32, "Layers of 16×16 and 32×32: features"],
  ["Fine", (resolution) => resolution > 32, "Layers from 64×64: colours, texture"],
];

export function mixingPanel(store, networks) {
  const network = networks.reduce((most, one) => (one.w_layers > most.w_layers ? one : most));
  if (!network.styles || network.w_layers < 2) {
    return null;
  }
  const rows = element("div", { class: "sources" });
  let seeds = []; // a row each, in the order in which they were added
  let built = null;
  let controls = [];
  const add = () => {
    const known = [...seeds, mainSeed(store.recipe)];
    seeds.push(Math.max(...known.map((seed) => seed % 100000)) + 1);
    show();
  };
  const rename = (row, seed) => {
    const before = seeds[row];
    seeds[row] = seed;
    built = [...seeds]; // the row stays as it is, with what is being typed
    store.set({ mixing: store.recipe.mixing.map(([layer, old]) => [layer, old === before ? seed : old]) });
  };
  const remove = (row) => {
    const [gone] = seeds.splice(row, 1);
    store.set({ mixing: store.recipe.mixing.filter(([, seed]) => seed !== gone) });
  };
  const show = () => {
    const used = [...new Set(store.recipe.mixing.map(([, seed]) => seed))];
    seeds.push(...used.filter((seed) => !seeds.includes(seed)));
    if (!same(built, seeds)) {
      built = [...seeds];
      controls = seeds.map((_, row) => sourceRow(store, network, () => seeds[row], { rename: (seed) => rename(row, seed), remove: () => remove(row) }));
      rows.replaceChildren(...controls.map((control) => control.node));
    }
    controls.forEach((control) => control.show());
  };
  store.onchange(show);
  show();
  const note = element("p", { class: "note" }, "Ticked layers take their style from another seed.");
  return panel("Style mixing", false, note, rows, button("Add a seed", add));
}

/** Ticks or unticks layers of a seed; a layer has one source. */
function setLayers(store, layers, seed, ticked) {
  const others = store.recipe.mixing.filter(([layer, old]) => !layers.includes(layer) || (!ticked && old !== seed));
  const own = ticked ? layers.map((layer) => [layer, seed]) : [];
  store.set({ mixing: [...others, ...own].sort((one, other) => one[0] - other[0]) });
}

function sourceRow(store, network, seedOf, { rename, remove }) {
  const field = wholeNumber({ label: "From seed", oninput: rename });
  const ticked = () =>
    new Set(store.recipe.mixing.filter(([, seed]) => seed === seedOf()).map(([layer]) => layer));
  const groups = GROUPS.map(([title, within, hint]) => {
    const layers = network.w_resolutions.flatMap((size, layer) => (within(size) ? [layer] : []));
    const toggle = () => setLayers(store, layers, seedOf(), !layers.every((layer) => ticked().has(layer)));
    const node = button(title, toggle, { title: hint, disabled: !layers.length, "aria-pressed": "false" });
    return { node, layers };
  });
  const boxes = network.w_resolutions.map((resolution, layer) => {
    const box = element("input", { type: "checkbox", onchange: () => setLayers(store, [layer], seedOf(), box.checked) });
    box.setAttribute("aria-label", `Layer ${layer}, ${resolution}×${resolution}`);
    return box;
  });
  const cells = boxes.map((box, layer) =>
    element("label", { class: "cell", title: `Layer ${layer}, ${network.w_resolutions[layer]}×${network.w_resolutions[layer]}` },
      box, element("span", {}, String(network.w_resolutions[layer]))));
  const drop = button("×", remove, { class: "quiet", "aria-label": "Remove this seed" });
  const node = element("div", { class: "source" },
    element("div", { class: "row" }, field.node, drop, ...groups.map((group) => group.node)),
    element("div", { class: "cells", role: "group", "aria-label": "Layers, by resolution" }, ...cells));
  return {
    node,
    show() {
      const now = ticked();
      field.set(seedOf());
      boxes.forEach((box, layer) => (box.checked = now.has(layer)));
      groups.forEach((group) => {
        const all = group.layers.length > 0 && group.layers.every((layer) => now.has(layer));
        group.node.setAttribute("aria-pressed", String(all));
      });
    },
  };
}
