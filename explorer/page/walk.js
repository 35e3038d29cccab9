/** A walk: from picture to picture and round again, in passing pictures. */
import { button, panel, slider } from "./controls.js";
import { element, freshId } from "./dom.js";
import { blend } from "./blend.js";
import { clamp, fresh, mainSeed, SEEDS } from "./recipe.js";

const MOST_STOPS = 100;

export function walkPanel(store, networks, film) {
  const walk = new Walk(store, networks, film);
  return { node: panel("Walk", false, walk.node), toggle: () => walk.toggle() };
}

class Walk {
  constructor(store, networks, film) {
    this.store = store;
    this.film = film;
    this.labelSize = Math.max(...networks.map((network) => network.label_size));
    this.playing = 0; // the animation frame that is awaited
    this.position = 0; // in stops
    this.seconds = 2;
    this.stops = [];
    const id = freshId("stops");
    this.seeds = element("input", { id, type: "text", spellcheck: false, placeholder: "like 0-9 or 3,14,15" });
    this.play = button("▶ Play", () => this.toggle(), { class: "strong", title: "Play or pause (space)" });
    this.place = slider({ label: "Place", low: 0, high: 1, step: 0.001, oninput: (share) => this.scrub(share) });
    this.speed = slider({
      label: "Seconds", low: 0.3, high: 8, step: 0.1, hint: "From one picture to the next",
      oninput: (seconds) => (this.seconds = seconds),
    });
    this.note = element("p", { class: "note" });
    this.speed.set(this.seconds);
    this.place.set(0);
    this.node = element("div", { class: "stack" },
      element("div", { class: "field wide" }, element("label", { htmlFor: id }, "Seeds"), this.seeds),
      element("div", { class: "row" }, this.play, this.note),
      this.place.node, this.speed.node);
    this.seeds.addEventListener("input", () => this.describe());
    film.onchange(() => this.describe());
    this.describe();
  }

  /** Recipes to walk between: the seeds that were typed, else kept pictures, else the seeds from here. */
  route() {
    const seeds = parseSeeds(this.seeds.value);
    const base = this.store.recipe;
    if (seeds.length > 1) {
      return seeds.map((seed) => ({ ...base, seeds: [[seed, 1]], projected: null }));
    }
    if (this.film.entries.length > 1) {
      return this.film.entries.map((entry) => ({ ...fresh(), ...entry.recipe }));
    }
    const first = mainSeed(base);
    return [0, 1, 2, 3].map((step) => ({ ...base, seeds: [[(first + step) % SEEDS, 1]], projected: null }));
  }

  describe() {
    const typed = parseSeeds(this.seeds.value).length;
    const kept = this.film.entries.length;
    this.note.textContent =
      typed > 1 ? `Through ${typed} seeds.`
        : kept > 1 ? `Through the ${kept} kept pictures.`
          : "Through the next seeds; keep two pictures, or type seeds.";
    this.stops = [];
  }

  toggle() {
    if (this.playing) {
      this.stop();
      return;
    }
    this.prepare();
    this.play.textContent = "❚❚ Pause";
    this.store.move(true);
    let before = null; // frames tell their time, which may be before this one
    const step = (now) => {
      this.go(this.position + (now - (before ?? now)) / 1000 / this.seconds);
      before = now;
      this.playing = requestAnimationFrame(step);
    };
    this.playing = requestAnimationFrame(step);
  }

  stop() {
    cancelAnimationFrame(this.playing);
    this.playing = 0;
    this.play.textContent = "▶ Play";
    this.store.move(false);
  }

  prepare() {
    if (!this.stops.length) {
      this.stops = this.route().slice(0, MOST_STOPS);
      this.position = 0;
    }
  }

  scrub(share) {
    this.prepare();
    this.go(clamp(share, 0, 0.9999) * this.stops.length);
  }

  go(position) {
    this.position = position % this.stops.length;
    const index = Math.floor(this.position);
    const next = (index + 1) % this.stops.length;
    this.store.set(blend(this.stops[index], this.stops[next], this.position - index, this.labelSize));
    this.place.set(Math.round((1000 * this.position) / this.stops.length) / 1000);
  }
}

/** "1,5,20-29" as numbers; what is none of these is passed over. */
function parseSeeds(text) {
  const seeds = [];
  for (const part of text.split(",")) {
    const match = part.trim().match(/^(\d{1,10})(?:-(\d{1,10}))?$/);
    if (match) {
      const [first, last] = [Number(match[1]), Number(match[2] ?? match[1])];
      for (let seed = first; seed <= last && seed < SEEDS && seeds.length < MOST_STOPS; seed++) {
        seeds.push(seed);
      }
    }
  }
  return seeds;
}
