/** Looking inside: a layer's feature maps, and where noise changes the picture. */
import { button, checkbox, panel, selection } from "./controls.js";
import { short } from "./charts.js";
import { element } from "./dom.js";
import { nextRequest } from "./frames.js";
import { fit } from "./recipe.js";

export function insidePanel(engine, store, about, status) {
  const layers = about.features.inside;
  const noise = about.features.noise_map && about.networks.some((network) => network.noise_layers.length);
  if (!layers && !noise) {
    return null;
  }
  const view = new Inside(engine, store, about, status);
  return panel("Look inside", false,
    layers ? view.layer.node : null,
    element("div", { class: "row" },
      layers ? view.button("inside", "Feature maps") : null,
      noise ? view.button("noise_map", "What noise changes") : null),
    view.follow.node, view.sheet, view.note, view.dialog);
}

class Inside {
  constructor(engine, store, about, status) {
    this.engine = engine;
    this.store = store;
    this.networks = about.networks;
    this.status = status;
    this.type = null; // of what is shown
    const several = about.networks.length > 1;
    const options = about.networks.flatMap((network, index) =>
      network.inside.map((layer, k) => [
        `${index} ${k}`,
        `${several ? `${network.name}: ` : ""}${layer.name} · ${layer.resolution}×${layer.resolution} · ${layer.maps}`,
      ]));
    this.layer = selection({ label: "Layer", options, onchoose: () => this.ask("inside") });
    const telling = about.networks[0].inside.findIndex((layer) => layer.resolution >= 16); // smaller ones show little
    this.layer.set(`0 ${Math.max(0, telling)}`);
    this.follow = checkbox("Follow the picture", () => this.rest());
    this.picture = element("img", { alt: "", class: "inside" });
    this.large = element("img", { alt: "" });
    this.dialog = element("dialog", { class: "large", "aria-label": "Enlarged", onclick: () => this.dialog.close() }, this.large);
    this.sheet = button("", () => this.enlarge(), { class: "sheet", hidden: true, title: "Enlarge", "aria-label": "Enlarge" });
    this.sheet.append(this.picture);
    this.sheet.addEventListener("pointermove", (event) => this.point(event));
    this.sheet.addEventListener("pointerleave", () => (this.note.textContent = this.words || ""));
    this.note = element("p", { class: "note" });
    store.onrest(() => this.rest());
  }

  button(type, text) {
    return button(text, () => this.ask(type));
  }

  rest() {
    if (this.follow.box.checked && this.type) {
      this.ask(this.type);
    }
  }

  /** The network whose layer is chosen, or the first one that has noise. */
  noisy() {
    const chosen = parseInt(this.layer.select.value, 10);
    const has = (network) => network && network.noise_layers.length > 0;
    return has(this.networks[chosen]) ? chosen : this.networks.findIndex(has);
  }

  async ask(type) {
    const [network, layer] = type === "inside"
      ? this.layer.select.value.split(" ").map(Number)
      : [this.noisy(), undefined];
    const recipe = fit(this.store.recipe, this.networks[network]);
    this.type = type;
    this.note.textContent = "Looking …";
    try {
      const frame = await this.engine.request({ type, request: nextRequest(), network, recipe, layer });
      if (frame) {
        this.show(frame, this.networks[network], layer);
      }
    } catch (error) {
      this.note.textContent = "";
      this.status.say(error.message);
    }
  }

  show({ header, blob }, network, layer) {
    URL.revokeObjectURL(this.picture.src);
    const address = URL.createObjectURL(blob);
    this.picture.src = this.large.src = address;
    this.picture.classList.toggle("pixels", header.width <= 512);
    this.sheet.hidden = false;
    const name = this.networks.length > 1 ? `${network.name}: ` : "";
    const words = name + (header.type === "inside"
      ? sheetInWords(network.inside[layer], header)
      : noiseInWords(header));
    this.picture.alt = this.large.alt = words;
    this.note.textContent = this.words = words;
    this.header = header;
  }

  /** Says which map is under the pointer, and its range. */
  point(event) {
    const { maps, cell, columns, width } = this.header;
    if (!maps || !cell) {
      return;
    }
    const box = this.picture.getBoundingClientRect();
    const scale = width / box.width;
    const column = Math.floor(((event.clientX - box.left) * scale) / (width / columns));
    const row = Math.floor(((event.clientY - box.top) * scale) / (this.header.height / Math.ceil(maps.length / columns)));
    const map = maps[row * columns + column];
    this.note.textContent = map ? mapInWords(map) : this.words;
  }

  enlarge() {
    this.dialog.showModal();
  }
}

function sheetInWords(layer, { maps, total }) {
  const all = maps.length < total ? `the ${maps.length} of ${total} maps that vary most` : `all ${total} maps`;
  return `${layer.name}: ${all}, each from its smallest value (black) to its largest (white).`;
}

/** The map of noise, with what white is. */
function noiseInWords({ range }) {
  return `How much each pixel differs between draws of the noise; white is a standard deviation of ${short(range[1])} levels of 255.`;
}

function mapInWords({ index, low, high }) {
  return low === null ? `Map ${index} has values that are no numbers.` : `Map ${index}: from ${short(low)} to ${short(high)}.`;
}
