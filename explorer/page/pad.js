/**
 * An endless plane of seeds: each grid point is a seed, between four of them z is their mixture.
 * The plane is moved like a map, by pointer or arrow keys; the cross in its middle is the picture.
 */
import { element } from "./dom.js";
import { clamp, mainSeed, placeOf, ROW, same, SEEDS, seedsAt, wrap } from "./recipe.js";

const CELL = 84; // CSS pixels between seeds
const SNAP = 0.04; // of a cell: so near to a seed it is that seed
const GLIDE = 350; // milliseconds to a place that was clicked

export function makePad(store) {
  const canvas = element("canvas", {
    class: "pad",
    tabIndex: 0,
    role: "application",
    "aria-label": "Plane of seeds: arrow keys move, with Shift to the next seed, Enter goes to the nearest",
  });
  const pad = new Pad(store, canvas);
  return { node: canvas, pad };
}

class Pad {
  constructor(store, canvas) {
    this.store = store;
    this.canvas = canvas;
    this.place = placeOf(store.recipe.seeds);
    this.drag = null;
    this.glide = 0;
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.pull(event));
    canvas.addEventListener("pointerup", (event) => this.release(event));
    canvas.addEventListener("pointercancel", () => (this.drag = null));
    canvas.addEventListener("keydown", (event) => this.key(event));
    store.onchange(() => this.follow());
    new ResizeObserver(() => this.draw()).observe(canvas);
    document.addEventListener("themechange", () => this.draw());
  }

  press(event) {
    cancelAnimationFrame(this.glide);
    this.canvas.setPointerCapture(event.pointerId);
    this.drag = { x: event.clientX, y: event.clientY, from: { ...this.place }, moved: false };
  }

  pull(event) {
    if (!this.drag) {
      return;
    }
    const [dx, dy] = [event.clientX - this.drag.x, event.clientY - this.drag.y];
    this.drag.moved ||= Math.hypot(dx, dy) > 4;
    if (this.drag.moved) {
      this.go(this.drag.from.x - dx / CELL, this.drag.from.y - dy / CELL);
    }
  }

  release(event) {
    const drag = this.drag;
    this.drag = null;
    if (!drag) {
      return;
    }
    if (drag.moved) {
      this.snap(SNAP);
      return;
    }
    const box = this.canvas.getBoundingClientRect();
    const x = this.place.x + (event.clientX - box.left - box.width / 2) / CELL;
    const y = this.place.y + (event.clientY - box.top - box.height / 2) / CELL;
    const near = Math.hypot(x - Math.round(x), y - Math.round(y)) < 0.3;
    this.glideTo(near ? Math.round(x) : x, near ? Math.round(y) : y);
  }

  key(event) {
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const way = ways[event.key];
    if (way) {
      const step = event.shiftKey ? 1 : 0.1;
      const tenth = (value) => Math.round(value * 10) / 10;
      this.go(tenth(this.place.x + step * way[0]), tenth(this.place.y + step * way[1]));
    } else if (event.key === "Enter") {
      this.snap(1);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  snap(distance) {
    const [x, y] = [Math.round(this.place.x), Math.round(this.place.y)];
    if (Math.hypot(this.place.x - x, this.place.y - y) <= distance) {
      this.go(x, y);
    }
  }

  glideTo(x, y) {
    const from = { ...this.place };
    const start = performance.now();
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const step = (now) => {
      const share = still ? 1 : clamp((now - start) / GLIDE, 0, 1);
      const eased = share * share * (3 - 2 * share);
      this.go(from.x + eased * (x - from.x), from.y + eased * (y - from.y));
      if (share < 1) {
        this.glide = requestAnimationFrame(step);
      }
    };
    this.glide = requestAnimationFrame(step);
  }

  go(x, y) {
    this.place = { x, y, on: true };
    const seeds = seedsAt(x, y);
    if (!same(seeds, this.store.recipe.seeds) || this.store.recipe.projected) {
      this.store.set({ seeds, projected: null });
    }
    this.draw();
  }

  /** Somebody else may have changed the seeds. */
  follow() {
    if (!same(seedsAt(this.place.x, this.place.y), this.store.recipe.seeds)) {
      cancelAnimationFrame(this.glide);
      this.place = placeOf(this.store.recipe.seeds);
    }
    this.draw();
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const scale = window.devicePixelRatio || 1;
    if (!width) {
      return;
    }
    if (this.canvas.width !== Math.round(width * scale)) {
      this.canvas.width = Math.round(width * scale);
      this.canvas.height = Math.round(height * scale);
    }
    const style = getComputedStyle(this.canvas);
    const color = (name) => style.getPropertyValue(name).trim();
    const brush = this.canvas.getContext("2d");
    brush.setTransform(scale, 0, 0, scale, 0, 0);
    brush.clearRect(0, 0, width, height);
    this.drawSeeds(brush, width, height, color);
    this.drawCross(brush, width / 2, height / 2, color);
  }

  drawSeeds(brush, width, height, color) {
    const reach = { x: width / 2 / CELL + 1, y: height / 2 / CELL + 1 };
    const main = this.place.on ? mainSeed(this.store.recipe) : -1;
    brush.font = "11px system-ui, sans-serif";
    brush.textAlign = "center";
    for (let i = Math.floor(this.place.x - reach.x); i <= this.place.x + reach.x; i++) {
      for (let j = Math.floor(this.place.y - reach.y); j <= this.place.y + reach.y; j++) {
        const x = width / 2 + (i - this.place.x) * CELL;
        const y = height / 2 + (j - this.place.y) * CELL;
        const seed = wrap(i + ROW * j);
        brush.fillStyle = brush.strokeStyle = color(seed === main ? "--accent" : "--faint");
        brush.globalAlpha = 0.25;
        brush.strokeRect(x + 0.5, y + 0.5, CELL, CELL);
        brush.globalAlpha = 1;
        brush.beginPath();
        brush.arc(x, y, seed === main ? 4 : 3, 0, 2 * Math.PI);
        brush.fill();
        brush.fillStyle = color(seed === main ? "--text" : "--muted");
        brush.fillText(inShort(seed), x, y + (seed === main ? 29 : 17));
      }
    }
  }

  drawCross(brush, x, y, color) {
    brush.strokeStyle = color("--accent");
    brush.lineWidth = 1.5;
    brush.beginPath();
    brush.arc(x, y, 9, 0, 2 * Math.PI);
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      brush.moveTo(x + 9 * dx, y + 9 * dy);
      brush.lineTo(x + 15 * dx, y + 15 * dy);
    }
    brush.stroke();
    brush.lineWidth = 1;
  }
}

/** Seeds before 0 are the greatest there are. */
function inShort(seed) {
  return seed > SEEDS - 1e6 ? `2³²−${SEEDS - seed}` : String(seed);
}
