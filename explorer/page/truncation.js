/** How far codes are pulled towards the average, and how far a growing network has grown. */
import { panel, slider } from "./controls.js";
import { element } from "./dom.js";

/** Of the networks that have styles the first one's own values are the defaults that are shown. */
export function truncationPanel(store, networks) {
  const network = networks.find((one) => one.styles);
  if (!network) {
    return null;
  }
  const own = { cutoff: network.cutoff ?? network.w_layers };
  const psi = slider({
    label: "ψ", low: -1, high: 1.5, step: 0.01, wide: true,
    hint: "1: as trained; 0: the average picture; below 0: its opposite",
    oninput: (value) => store.set({ psi: value }),
    onreset: () => store.set({ psi: null }),
  });
  const cutoff = slider({
    label: "Cutoff", low: 0, high: network.w_layers, step: 1,
    hint: "Layers, from the coarsest, that are truncated",
    oninput: (value) => store.set({ cutoff: Math.round(value) }),
    onreset: () => store.set({ cutoff: null }),
  });
  const show = () => {
    const recipe = store.recipe;
    psi.set(recipe.psi ?? ownPsi(recipe, network), recipe.psi === null);
    cutoff.set(Math.min(recipe.cutoff ?? own.cutoff, network.w_layers), recipe.cutoff === null);
  };
  store.onchange(show);
  show();
  const note = element("p", { class: "note" },
    "Below 1 pictures are closer to the average: cleaner, and more alike. The cutoff is the number of layers, from the coarsest.");
  return panel("Truncation", true, psi.node, network.w_layers > 1 ? cutoff.node : null, note);
}

/** ψ where a recipe says none: a projected picture is as it was found. */
function ownPsi(recipe, network) {
  return network.projected.includes(recipe.projected) ? 1 : network.psi ?? 1;
}

/** Changes ψ by a step, from the keyboard. */
export function stepPsi(store, networks, step) {
  const network = networks.find((one) => one.styles);
  if (network) {
    const psi = (store.recipe.psi ?? ownPsi(store.recipe, network)) + step;
    store.set({ psi: Math.round(psi * 100) / 100 });
  }
}

export function growingPanel(store, networks) {
  const network = networks.find((one) => one.growing && one.max_lod > 0);
  if (!network) {
    return null;
  }
  const usual = network.lod ?? 0;
  const lod = slider({
    label: "lod", low: 0, high: network.max_lod, step: 0.05,
    hint: "0: all layers; each whole number halves the resolution",
    oninput: (value) => store.set({ lod: value }),
    onreset: () => store.set({ lod: null }),
  });
  const note = element("p", { class: "note" });
  const show = () => {
    const value = store.recipe.lod ?? usual;
    lod.set(value, store.recipe.lod === null);
    const size = network.resolution / 2 ** Math.floor(value);
    note.textContent = Number.isInteger(value)
      ? `Made at ${size}×${size}.`
      : `Fading from ${size / 2}×${size / 2} to ${size}×${size}. Low stages are as training left them.`;
  };
  store.onchange(show);
  show();
  return panel("Growing", false, lod.node, note);
}
