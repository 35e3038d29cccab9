/** Kept pictures: a small picture and all that is needed to make it again, kept by this browser. */
import { button, keep, remembered } from "./controls.js";
import { download, element } from "./dom.js";
import { inWords, tidy } from "./recipe.js";

const THUMB = 96; // pixels
const MOST = 200;
const FORMAT = "generator explorer recipes";

export class Film {
  /**
   * @param {string} name of the networks or the run.
   * @param {string} id of them, under which pictures are kept: others may have the same name.
   */
  constructor(store, name, id, status) {
    this.store = store;
    this.name = name;
    this.status = status;
    this.key = `explorer film ${id}`;
    this.entries = this.read();
    this.listeners = [];
    this.list = element("ol", { class: "film", "aria-label": "Kept pictures" });
    const file = element("input", { type: "file", accept: ".json,application/json", class: "hidden", onchange: () => this.load(file) });
    file.setAttribute("aria-label", "Recipes to load");
    this.saving = button("Save recipes", () => this.save(), { class: "quiet" });
    const loading = button("Load recipes", () => file.click(), { class: "quiet" });
    this.node = element("section", { class: "kept", "aria-label": "Filmstrip" },
      element("div", { class: "row head" }, element("h2", {}, "Kept"), this.saving, loading, file), this.list);
    this.draw();
  }

  onchange(listener) {
    this.listeners.push(listener);
  }

  /** Keeps the picture that is shown. */
  add(canvas) {
    this.put({ recipe: structuredClone(this.store.recipe), thumb: thumbnail(canvas) });
  }

  put(entry) {
    this.entries.push(entry);
    this.entries.splice(0, this.entries.length - MOST);
    this.changed();
    this.list.lastElementChild?.scrollIntoView({ block: "nearest", inline: "end" });
  }

  remove(entry) {
    this.entries = this.entries.filter((one) => one !== entry);
    this.changed();
  }

  changed() {
    if (!keep(this.key, JSON.stringify(this.entries))) {
      this.status.say("This browser keeps nothing for this page: save the recipes as a file before you leave.");
    }
    this.draw();
    this.listeners.forEach((listener) => listener());
  }

  read() {
    try {
      return readEntries(JSON.parse(remembered(this.key) || "[]"));
    } catch {
      return [];
    }
  }

  save() {
    const data = { format: FORMAT, version: 1, network: this.name, recipes: this.entries };
    download(new Blob([JSON.stringify(data, null, 1)], { type: "application/json" }), "recipes.json");
  }

  async load(file) {
    const [chosen] = file.files;
    file.value = "";
    if (!chosen) {
      return;
    }
    try {
      const data = JSON.parse(await chosen.text());
      if (data.format !== FORMAT) {
        throw new Error("another format");
      }
      const entries = readEntries(data.recipes);
      const before = this.entries.length;
      const known = new Set(this.entries.map(recipeText));
      for (const entry of entries.filter((one) => !known.has(recipeText(one)))) {
        this.entries.push(entry);
      }
      const added = this.entries.length - before;
      this.entries = this.entries.slice(-MOST);
      this.changed();
      const rest = entries.length > added ? ` ${entries.length - added} were here already.` : "";
      this.status.say(`${added} recipes loaded from ${chosen.name}.${rest}`);
    } catch {
      this.status.say(`${chosen.name} holds no recipes saved by this page.`);
    }
  }

  draw() {
    this.saving.disabled = !this.entries.length;
    const empty = element("li", { class: "empty note" }, "Nothing yet: Keep (K) puts the picture here.");
    this.list.replaceChildren(...(this.entries.length ? this.entries.map((entry) => this.item(entry)) : [empty]));
  }

  item(entry) {
    const words = inWords(entry.recipe);
    const picture = element("img", { src: entry.thumb, alt: words, width: THUMB, height: THUMB });
    const show = button("", () => this.store.set(tidy(entry.recipe)), { class: "frame", title: words, "aria-label": `Show ${words}` });
    show.append(picture);
    const drop = button("×", () => this.remove(entry), { class: "drop", "aria-label": `Remove ${words}`, title: "Remove" });
    return element("li", {}, show, drop);
  }
}

/** What tells an entry from others, in whichever order its fields were set. */
const recipeText = (entry) => JSON.stringify(tidy(entry.recipe));

/** Entries of any JSON; small pictures are data, never addresses. */
function readEntries(data) {
  const isEntry = (one) =>
    one && typeof one === "object" && typeof one.thumb === "string" && one.thumb.length < 100000 &&
    /^data:image\/(png|jpeg|webp);base64,[A-Za-z0-9+/=]+$/.test(one.thumb);
  return data.filter(isEntry).map(({ recipe, thumb }) => ({ recipe: tidy(recipe), thumb })).slice(-MOST);
}

function thumbnail(canvas) {
  const small = element("canvas", { width: THUMB, height: THUMB });
  const brush = small.getContext("2d");
  brush.imageSmoothingEnabled = canvas.width > THUMB;
  brush.imageSmoothingQuality = "high";
  brush.drawImage(canvas, 0, 0, THUMB, THUMB);
  return small.toDataURL(canvas.width > THUMB ? "image/jpeg" : "image/png", 0.85);
}
