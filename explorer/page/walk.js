/** A walk: from picture to picture and round again, in passing pictures. */
import { button, panel, slider } from "./controls.js";
import { element, freshId } from "./dom.js";
import { blend } from "./blend.js";
import { clamp, fresh, mainSeed, same, SEEDS } from "./recipe.js";

const MOST_STOPS = 100;

export function walkPanel(store, networks, film) {
  const walk = new Walk(store, networks, film);
  return { node: panel("Walk", false, walk.node), toggle: () => walk.toggle() };
}

/** What the walk itself moves; the rest of a recipe is the user's, but between kept pictures. */
const OWN = ["seeds", "projected"];

class Walk {
  constructor(store, networks, film) {
    this.store = store;
    this.film = film;
    this.labelSize = Math.max(...networks.map((network) => network.label_size));
    const styled = networks.find((network) => network.styles);
    const growing = networks.find((network) => network.growing);
    this.usual = { psi: styled ? styled.psi ?? 1 : undefined, lod: growing ? growing.lod ?? 0 : undefined };
    this.playing = 0; // the animation frame that is awaited
    this.position = 0; // in stops
    this.seconds = 2;
    this.stops = [];
    this.whole = false; // whether stops are whole recipes, of kept pictures
    this.hand = new Set(); // of whole recipes: what the user has changed since
    this.handEdits = new Set(); // the same of directions, by their names
    this.left = false; // the user has gone elsewhere: the next walk begins there
    this.before = store.recipe;
    this.going = false;
    this.build();
    this.seeds.addEventListener("input", () => this.reroute());
    film.onchange(() => (this.playing ? this.describe() : this.reroute()));
    store.onchange(() => this.follow());
    this.describe();
  }

  build() {
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
  }

  /** Recipes to walk between: the seeds that were typed, else kept pictures, else the seeds from here. */
  route() {
    const seeds = parseSeeds(this.seeds.value);
    this.whole = seeds.length < 2 && this.film.entries.length > 1;
    if (this.whole) {
      return this.film.entries.map((entry) => complete(entry.recipe));
    }
    const first = mainSeed(this.store.recipe);
    const next = [0, 1, 2, 3].map((step) => (first + step) % SEEDS);
    return (seeds.length > 1 ? seeds : next).map((seed) => complete({ seeds: [[seed, 1]] }));
  }

  describe() {
    const typed = parseSeeds(this.seeds.value).length;
    const kept = this.film.entries.length;
    this.note.textContent =
      typed > 1 ? `Through ${typed} seeds.`
        : kept > 1 ? `Through the ${kept} kept pictures.`
          : "Through the next seeds; keep two pictures, or type seeds.";
  }

  /** Another route: it begins at its beginning. */
  reroute() {
    this.describe();
    this.stops = [];
    this.left = false;
    this.hand.clear();
    this.handEdits.clear();
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
      this.prepare();
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
    if (this.stops.length) {
      return;
    }
    this.stops = this.route().slice(0, MOST_STOPS);
    this.position = 0;
    if (this.left) {
      const here = complete(this.store.recipe);
      const at = this.stops.findIndex((stop) => OWN.every((name) => same(stop[name], here[name])));
      this.stops = at < 0 ? [here, ...this.stops] : this.stops;
      this.position = Math.max(at, 0);
      this.left = false;
    }
  }

  /** The recipe has changed: what others than the walk have done to it stays. */
  follow() {
    const [before, recipe] = [this.before, this.store.recipe];
    this.before = recipe;
    if (this.going) {
      return;
    }
    const names = Object.keys({ ...before, ...recipe }).filter((name) => !same(before[name], recipe[name]));
    const rest = names.filter((name) => !OWN.includes(name));
    if (rest.length < names.length) { // elsewhere, as with a seed; or another recipe, as of a kept picture
      this.left ||= this.stops.length > 0;
      this.stops = [];
      this.place.set(0);
      if (rest.length) {
        this.hand.clear();
        this.handEdits.clear();
      }
      return;
    }
    for (const name of rest) {
      if (name === "edits") {
        const all = Object.keys({ ...before.edits, ...recipe.edits });
        all.filter((one) => before.edits[one] !== recipe.edits[one]).forEach((one) => this.handEdits.add(one));
      } else {
        this.hand.add(name);
      }
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
    const between = blend(this.stops[index], this.stops[next], this.position - index, this.labelSize, this.usual);
    this.going = true;
    this.store.set(this.part(between));
    this.going = false;
    this.place.set(Math.round((1000 * this.position) / this.stops.length) / 1000);
  }

  /** What the walk sets of the recipe. */
  part(between) {
    if (!this.whole) {
      return Object.fromEntries(OWN.map((name) => [name, between[name]]));
    }
    const part = Object.fromEntries(Object.entries(between).filter(([name]) => !this.hand.has(name)));
    const { edits } = this.store.recipe;
    for (const name of this.handEdits) {
      delete part.edits[name];
      if (name in edits) {
        part.edits[name] = edits[name];
      }
    }
    return part;
  }
}

/** A recipe with all its fields, so that none of another's stays when it is set. */
const complete = (recipe) => ({ ...fresh(), which: undefined, noise_seed: undefined, ...structuredClone(recipe) });

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
