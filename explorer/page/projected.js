/** Projected pictures, as starting points instead of seeds. */
import { panel, selection } from "./controls.js";
import { element } from "./dom.js";

export function projectedPanel(store, networks) {
  const names = [...new Set(networks.flatMap((network) => network.projected))];
  if (!names.length) {
    return null;
  }
  const from = selection({
    label: "Start from",
    options: [["", "The seed"], ...names.map((name) => [name, name])],
    onchoose: (name) => store.set({ projected: name || null }),
  });
  const show = () => from.set(store.recipe.projected || "");
  store.onchange(show);
  show();
  const note = element("p", { class: "note" },
    "Mixing, directions, noise and ψ act on its w; ψ is 1 until you change it, and its class is in its w.");
  return panel("Projected pictures", true, from.node, note);
}
