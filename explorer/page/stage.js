/** The pictures: one for each network, with what is known of them and what can be done with them. */
import { button, selection } from "./controls.js";
import { download, element } from "./dom.js";
import { Frames } from "./frames.js";
import { fit, inWords, same } from "./recipe.js";

const PATIENCE = 300; // milliseconds after which a wait is shown
const PIXELS = 128; // pictures up to this size are enlarged with sharp pixels

export class Stage {
  constructor(engine, store, about, status) {
    this.store = store;
    this.about = about;
    this.views = about.networks.map((network, index) => new View(engine, store, about, network, index, status));
    this.node = element("div", { class: "stage" }, ...this.views.map((view) => view.node));
    this.node.dataset.count = String(this.views.length);
    store.onchange(() => this.views.forEach((view) => view.pass()));
    store.onrest(() => this.views.forEach((view) => view.rest()));
  }

  /** Asks for all pictures again. */
  refresh() {
    this.views.forEach((view) => view.rest(true));
  }

  get first() {
    return this.views[0];
  }
}

class View {
  constructor(engine, store, about, network, index, status) {
    this.engine = engine;
    this.store = store;
    this.about = about;
    this.network = network;
    this.index = index;
    this.status = status;
    this.frames = new Frames(engine, index, this);
    this.blob = null; // of the picture at rest
    this.command = null;
    this.asked = null;
    this.canvas = element("canvas", { width: network.resolution, height: network.resolution, role: "img" });
    this.canvas.classList.toggle("pixels", network.resolution <= PIXELS);
    this.spinner = element("div", { class: "spinner", hidden: true, "aria-hidden": "true" });
    this.caption = element("span", { class: "words" });
    this.score = element("span", { class: "score", hidden: true, title: `What the discriminator of ${network.name} says of this picture` });
    const several = about.networks.length > 1;
    const name = several ? element("span", { class: "name", title: network.title }, network.name) : null;
    this.node = element("figure", { class: "view" },
      element("div", { class: "frame" }, this.canvas, this.spinner),
      element("figcaption", {}, name, this.caption, this.score, ...this.actions()));
  }

  actions() {
    const features = this.about.features;
    const several = this.about.networks.length > 1;
    const key = (letter) => (several && this.index ? "" : ` (${letter})`); // keys are of the first
    const of = several ? ` of ${this.network.name}` : "";
    const save = button("PNG", () => this.save(), { class: "quiet", title: `Save the picture${of}${key("S")}`, "aria-label": `Save as PNG${of && `, the picture${of}`}` });
    const latents = button("Latents", () => this.saveLatents(), { class: "quiet", title: "Save latents.npz, for --latents" });
    const command = button("Command", () => this.copy(), { class: "quiet", title: `Copy the command line that makes this picture${of}${key("C")}` });
    return [save, features.latents ? latents : null, features.command ? command : null];
  }

  get recipe() {
    return fit(this.store.recipe, this.network);
  }

  /** The recipe has changed, and may change further. */
  pass() {
    const recipe = this.recipe;
    if (!same(recipe, this.asked)) {
      this.await(recipe);
      this.frames.pass(recipe);
    }
  }

  /** The recipe stays. anew: also where its picture is there. */
  rest(anew = false) {
    const recipe = this.recipe;
    if (anew || this.blob === null || !same(recipe, this.asked)) {
      this.await(recipe);
      this.frames.rest(recipe);
    }
  }

  await(recipe) {
    this.asked = recipe;
    this.blob = null;
    this.node.dataset.state = "moving";
  }

  /** A frame of a recipe has come. */
  show(bitmap, { header, blob }, recipe) {
    const brush = this.canvas.getContext("2d");
    if (this.canvas.width !== bitmap.width || this.canvas.height !== bitmap.height) {
      [this.canvas.width, this.canvas.height] = [bitmap.width, bitmap.height];
    }
    brush.clearRect(0, 0, bitmap.width, bitmap.height);
    brush.drawImage(bitmap, 0, 0);
    const words = inWords(recipe);
    this.caption.textContent = this.caption.title = words;
    this.canvas.setAttribute("aria-label", `Picture of ${this.network.name}: ${words}`);
    this.node.dataset.request = String(header.request);
    if (!header.preview && same(recipe, this.asked)) {
      this.settle(header, blob);
    }
  }

  /** The picture at rest is there. */
  settle(header, blob) {
    this.node.dataset.state = "rest";
    this.blob = blob;
    this.command = header.command ?? null;
    this.score.hidden = header.score === null || header.score === undefined;
    this.score.textContent = this.score.hidden ? "" : `D ${header.score.toFixed(2).replace("-", "−")}`;
    this.status.clear(this);
  }

  /** Whether a picture is awaited; short waits are not shown. */
  wait(awaited) {
    clearTimeout(this.patience);
    if (awaited) {
      this.patience = setTimeout(() => (this.spinner.hidden = false), PATIENCE);
    } else {
      this.spinner.hidden = true;
    }
  }

  fail(sentence, preview) {
    if (!preview) {
      this.status.say(sentence, this);
    }
  }

  save() {
    if (this.blob) {
      download(this.blob, `${this.fileName()}.png`);
    }
  }

  async saveLatents() {
    try {
      download(await this.engine.latents(this.index, this.recipe), "latents.npz");
    } catch (error) {
      this.status.say(error.message);
    }
  }

  async copy() {
    if (!this.command) {
      this.status.say(this.blob ? "No command line makes this picture, for images shows the usual network at its own lod; PNG saves it." : "The picture is not there yet.");
      return;
    }
    try {
      await navigator.clipboard.writeText(this.command);
      const file = this.command.includes("--latents=latents.npz");
      this.status.say(file ? "Copied; it reads latents.npz, which Latents saves." : `Copied: ${this.command}`);
    } catch {
      this.status.say(this.command); // to be copied by hand
    }
  }

  fileName() {
    const words = inWords(this.recipe).replaceAll("ψ", "psi").replaceAll("−", "-").replace(/[^\w.+-]+/g, "-").replace(/^-+|-+$/g, "");
    return words.slice(0, 80) || "picture";
  }
}

/** G or Gs, where there is a choice. */
export function whichSelect(store, about) {
  const kinds = [...new Set(about.networks.flatMap((network) => network.which))];
  if (!about.features.which || kinds.length < 2) {
    return null;
  }
  const select = selection({
    label: "Network of the file",
    hidden: true,
    options: kinds.map((kind) => [kind, kind]),
    onchoose: (kind) => store.set({ which: kind }),
  });
  select.node.title = "Gs: the average of G over training; G: as the last step left it";
  const show = () => select.set(store.recipe.which || kinds[0]);
  store.onchange(show);
  show();
  return select.node;
}
