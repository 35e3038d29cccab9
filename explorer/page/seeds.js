/** The seed: a number, its neighbours, any other, and the plane of all of them. */
import { button, panel, wholeNumber } from "./controls.js";
import { element } from "./dom.js";
import { makePad } from "./pad.js";
import { mainSeed, ROW, wrap } from "./recipe.js";

/** Goes to one seed. A projected picture is left for it. */
export function goTo(store, seed) {
  store.set({ seeds: [[wrap(seed), 1]], projected: null });
}

export function goBy(store, step) {
  goTo(store, mainSeed(store.recipe) + step);
}

export function anySeed(store) {
  goTo(store, crypto.getRandomValues(new Uint32Array(1))[0] % 1000000);
}

export function seedPanel(store) {
  const field = wholeNumber({ label: "Seed", name: "seed", oninput: (seed) => goTo(store, seed) });
  const row = element("div", { class: "row" },
    field.node,
    button("−1", () => goBy(store, -1), { "aria-label": "Seed before (left arrow)", title: "Seed before (←)" }),
    button("+1", () => goBy(store, 1), { "aria-label": "Next seed (right arrow)", title: "Next seed (→)" }),
    button("Random", () => anySeed(store), { title: "Any seed (R)" }));
  const between = element("p", { class: "note", "aria-live": "off" });
  const pad = makePad(store);
  const show = () => {
    const { seeds, projected } = store.recipe;
    field.set(mainSeed(store.recipe));
    const parts = seeds.map(([seed, weight]) => `${seed} (${Math.round(weight * 100)} %)`);
    between.textContent = projected
      ? `Starts from the projected picture ${projected}.`
      : seeds.length > 1
        ? `Between seeds ${parts.join(", ")}.`
        : `Drag the plane to go between seeds: right is +1, down is +${ROW}.`;
  };
  store.onchange(show);
  show();
  return panel("Seed", true, row, pad.node, between);
}
