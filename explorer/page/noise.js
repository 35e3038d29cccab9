/** The noise that networks add: the network's own, another, none; of all layers or of each. */
import { button, choice, panel, selection, wholeNumber } from "./controls.js";
import { element } from "./dom.js";
import { isRandom, noiseFor } from "./recipe.js";

const KINDS = [
  ["fixed", "Fixed", "The network's own noise images"],
  ["random", "Random", "Drawn from the noise seed"],
  ["none", "None", "No noise at all"],
];

/** Other random noise. */
export function newNoise(store) {
  const noise = isRandom(store.recipe.noise) ? store.recipe.noise : "random";
  store.set({ noise, noise_seed: crypto.getRandomValues(new Uint32Array(1))[0] % 1000000 });
}

export function noisePanel(store, networks) {
  const layers = networks.reduce(
    (most, network) => (network.noise_layers.length > most.length ? network.noise_layers : most), []);
  if (!layers.length) {
    return null;
  }
  const all = choice({ label: "Noise of all layers", options: KINDS, onchoose: (noise) => store.set({ noise }) });
  const seed = wholeNumber({ label: "Noise seed", oninput: (noise_seed) => store.set({ noise_seed }) });
  const another = button("New noise", () => newNoise(store), { title: "Another noise seed (N)" });
  const drawn = element("div", { class: "row" }, seed.node, another);
  const each = layers.map(([height, width], layer) =>
    selection({
      label: `${layer} · ${height}×${width}`,
      options: KINDS.map(([value, text]) => [value, text]),
      onchoose: (kind) => setLayer(store, layers.length, layer, kind),
    }));
  const perLayer = element("details", { class: "sub" },
    element("summary", {}, "Each layer"), element("div", { class: "pairs" }, ...each.map((one) => one.node)));
  const show = () => {
    const noise = noiseFor(store.recipe.noise, layers.length);
    all.set(noise);
    each.forEach((one, layer) => one.set(typeof noise === "string" ? noise : noise[layer]));
    drawn.classList.toggle("unused", !isRandom(noise));
    seed.set(store.recipe.noise_seed ?? store.recipe.seeds[0][0]);
  };
  store.onchange(show);
  show();
  return panel("Noise", false, all.node, drawn, perLayer);
}

function setLayer(store, count, layer, kind) {
  const noise = noiseFor(store.recipe.noise, count);
  const kinds = typeof noise === "string" ? Array(count).fill(noise) : [...noise];
  kinds[layer] = kind;
  store.set({ noise: noiseFor(kinds, count) });
}
