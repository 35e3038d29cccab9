/** A run directory, read only: what training says of itself, its pictures, and its newest network. */
import { button } from "./controls.js";
import { chart, short } from "./charts.js";
import { element } from "./dom.js";

const PAUSE = 3000; // milliseconds between questions

/** Charts, of the records' keys that begin with one of the prefixes. */
const CHARTS = [
  ["Losses", /^Loss\/(G|D)$/, "Loss/"],
  ["Regularisation", /^Loss\/(G_reg|D_reg|r1_penalty|pl_penalty|path_length)$/, "Loss/"],
  ["Scores of D", /^Loss\/scores\/(real|fake)$/, "Loss/scores/"],
  ["Signs of D on reals", /^Loss\/signs\/real$/, "Loss/signs/"],
  ["Augmentation p", /^Progress\/augment$/, "Progress/"],
  ["Learning rates", /^Rates\//, "Rates/"],
  ["Copies", /^Checks\/copies$/, "Checks/"],
  ["Distances", /^Checks\/distance_(reals|fakes)$/, "Checks/distance_"],
  ["lod", /^Progress\/lod$/, "Progress/"],
  ["Seconds per kimg", /^Timing\/sec_per_kimg$/, "Timing/"],
];

export class RunView {
  constructor(engine, name, status) {
    this.engine = engine;
    this.status = status;
    this.ticks = []; // {tick, kimg, values, verdicts}
    this.epoch = undefined; // how often the run has gone back
    this.pictures = [];
    this.reals = null;
    this.verdicts = element("ul", { class: "verdicts" });
    this.progress = element("p", { class: "note" });
    this.charts = element("div", { class: "charts" });
    this.metrics = element("div", { class: "metrics" });
    this.newer = element("p", { class: "newer", hidden: true });
    this.makePictures();
    this.node = element("section", { class: "run", "aria-label": "Run" },
      element("h2", {}, `Run ${name}`), this.progress, this.newer, this.verdicts,
      this.charts, this.metrics, this.album);
    this.poll();
  }

  makePictures() {
    this.image = element("img", { alt: "", class: "fakes" });
    this.when = element("span", { class: "note" });
    this.at = element("input", { type: "range", min: "0", max: "0", step: "1", "aria-label": "Pictures of the run, by time" });
    this.at.addEventListener("input", () => this.showPicture(Number(this.at.value)));
    this.real = button("Real images", () => this.showReals(), { "aria-pressed": "false" });
    this.album = element("div", { class: "album", hidden: true },
      element("h3", {}, "Pictures"), element("div", { class: "row" }, this.at, this.when, this.real), this.image);
  }

  async poll() {
    const since = this.ticks.length ? this.ticks[this.ticks.length - 1].tick : -1;
    const news = await this.engine.run(since, this.epoch).catch(() => null);
    setTimeout(() => this.poll(), news && news.more ? 0 : PAUSE);
    if (news) {
      this.take(news);
    }
  }

  take(news) {
    const first = this.epoch === undefined;
    this.epoch = news.epoch;
    if (news.anew) {
      this.ticks = [];
    }
    if (first || news.anew || news.ticks.length) {
      this.ticks.push(...news.ticks);
      this.drawCharts();
      this.drawVerdicts();
    }
    this.drawMetrics(news.metrics);
    this.takePictures(news);
    this.offer(news);
  }

  drawCharts() {
    const last = this.ticks[this.ticks.length - 1];
    this.progress.textContent = last
      ? `${short(last.kimg)} thousand images, tick ${last.tick}.`
      : "No tick has ended yet.";
    this.charts.replaceChildren(...CHARTS.map(([title, keys, prefix]) => this.drawn(title, keys, prefix)).filter(Boolean));
  }

  drawn(title, keys, prefix) {
    const names = [...new Set(this.ticks.flatMap(({ values }) => Object.keys(values).filter((key) => keys.test(key))))];
    const lines = names.sort().map((key) => ({
      name: key.slice(prefix.length),
      points: this.ticks.filter(({ values }) => key in values).map(({ kimg, values }) => [kimg, values[key]]),
    }));
    const moves = lines.some((line) => line.points.some(([, value]) => value !== line.points[0][1]));
    return moves ? chart(title, lines) : null;
  }

  /** What the checks say at the newest tick. */
  drawVerdicts() {
    const last = this.ticks[this.ticks.length - 1];
    const items = last ? last.verdicts.map((verdict) => element("li", {}, inWords(verdict))) : [];
    const well = element("li", { class: "well" }, "The checks have nothing to say against this run now.");
    this.verdicts.replaceChildren(...(items.length || !last ? items : [well]));
  }

  drawMetrics(metrics) {
    const text = JSON.stringify(metrics);
    if (text === this.metricsText) {
      return; // what is hovered stays
    }
    this.metricsText = text;
    const series = new Map();
    for (const { metric, kimg, results } of metrics) {
      for (const [name, value] of Object.entries(results)) {
        const title = name === metric ? name : `${metric}: ${name}`;
        series.set(title, [...(series.get(title) || []), [kimg ?? 0, value]]);
      }
    }
    const figures = [...series].map(([title, points]) =>
      chart(title, [{ name: title, points: points.sort((one, other) => one[0] - other[0]) }]));
    this.metrics.replaceChildren(
      ...(figures.length ? [element("h3", {}, "Metrics"), element("div", { class: "charts" }, ...figures)] : []));
  }

  takePictures({ pictures, reals = null }) {
    const atEnd = Number(this.at.value) === this.pictures.length - 1 || !this.pictures.length;
    const more = pictures.length !== this.pictures.length;
    this.pictures = pictures;
    this.reals = reals;
    this.album.hidden = !pictures.length;
    this.real.hidden = reals === null;
    this.at.max = String(Math.max(0, pictures.length - 1));
    if (more && atEnd && pictures.length) {
      this.at.value = this.at.max;
      this.showPicture(pictures.length - 1);
    }
  }

  showPicture(position) {
    const picture = this.pictures[position];
    if (picture) {
      this.real.setAttribute("aria-pressed", "false");
      this.put(picture.index, `${short(picture.kimg)} kimg`);
    }
  }

  showReals() {
    if (this.real.getAttribute("aria-pressed") === "true") {
      this.showPicture(Number(this.at.value));
      return;
    }
    this.real.setAttribute("aria-pressed", "true");
    this.put(this.reals, "real images");
  }

  put(index, words) {
    this.image.src = this.engine.pictureAddress(index);
    this.image.alt = `Pictures of the run: ${words}`;
    this.when.textContent = words;
  }

  /** The first snapshot that is named is the one on show, unless the server says which one is. */
  offer({ snapshot, loaded }) {
    this.loaded ??= loaded ?? snapshot;
    const newest = snapshot ?? null;
    this.newer.hidden = newest === null || newest === (loaded ?? this.loaded);
    if (!this.newer.hidden && this.newer.dataset.name !== newest) {
      this.newer.dataset.name = newest;
      this.newer.replaceChildren(
        `There is a ${(loaded ?? this.loaded) ? "newer" : "first"} snapshot, ${newest}. `, button("Take it", () => this.reload(), { class: "strong" }));
    }
  }

  async reload() {
    try {
      await this.engine.reload();
    } catch (error) {
      this.status.say(error.message);
    }
  }
}

function inWords({ sentence, check, value, threshold }) {
  const number = value === null ? "" : ` ${short(value)}`;
  return sentence || `${check}:${number}${threshold === null ? "" : ` (threshold ${short(threshold)})`}.`;
}
