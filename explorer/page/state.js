/** The recipe that the page shows: who changes it, who is told, what can be undone. */
import { fresh, same, tidy } from "./recipe.js";

/** Milliseconds without a change after which the picture is at rest. */
export const REST = 150;
const MOST_UNDONE = 200;

export class Store {
  constructor() {
    /** @type {import("./recipe.js").Recipe} */
    this.recipe = readHash() || fresh();
    this.past = [structuredClone(this.recipe)];
    this.future = [];
    this.changed = [];
    this.rested = [];
    this.moving = false; // a walk plays: nothing rests
    this.timer = 0;
    window.addEventListener("hashchange", () => {
      const recipe = readHash();
      if (recipe && !same(recipe, this.recipe)) {
        this.set(recipe);
      }
    });
  }

  /** Tells `listener()` at every change; a picture in passing will do. */
  onchange(listener) {
    this.changed.push(listener);
  }

  /** Tells `listener()` when nothing has changed for a moment. */
  onrest(listener) {
    this.rested.push(listener);
  }

  /** Changes some of the recipe. */
  set(part) {
    this.recipe = { ...this.recipe, ...part };
    this.tell();
  }

  /** Starts or ends a movement in which nothing rests. */
  move(moving) {
    this.moving = moving;
    this.tell();
  }

  undo() {
    this.remember();
    if (this.past.length > 1) {
      this.future.push(this.past.pop());
      this.show(this.past[this.past.length - 1]);
    }
  }

  redo() {
    if (this.future.length) {
      this.past.push(this.future.pop());
      this.show(this.past[this.past.length - 1]);
    }
  }

  get canUndo() {
    return this.past.length > 1;
  }

  get canRedo() {
    return this.future.length > 0;
  }

  show(recipe) {
    this.recipe = structuredClone(recipe);
    this.tell();
  }

  tell() {
    clearTimeout(this.timer);
    for (const listener of this.changed) {
      listener();
    }
    if (!this.moving) {
      this.timer = setTimeout(() => this.rest(), REST);
    }
  }

  rest() {
    this.remember();
    writeHash(this.recipe);
    for (const listener of this.rested) {
      listener();
    }
  }

  remember() {
    if (same(this.recipe, this.past[this.past.length - 1])) {
      return;
    }
    this.past.push(structuredClone(this.recipe));
    this.past.splice(0, this.past.length - MOST_UNDONE);
    this.future = [];
  }
}

function readHash() {
  if (location.hash.length < 2) {
    return null;
  }
  try {
    return tidy(JSON.parse(decodeURIComponent(location.hash.slice(1))));
  } catch {
    return null; // a link that was cut short
  }
}

/** Only what differs from the beginning, so that links stay short. */
function writeHash(recipe) {
  const usual = fresh();
  const told = Object.entries(recipe).filter(([name, value]) => !same(value, usual[name]));
  const text = told.length ? `#${encodeURIComponent(JSON.stringify(Object.fromEntries(told)))}` : "";
  if (text !== location.hash) {
    history.replaceState(null, "", text || location.href.split("#")[0]);
  }
}
