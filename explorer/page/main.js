/** Builds the page from what an engine has: what a network or an engine lacks is not shown. */
import { button } from "./controls.js";
import { element } from "./dom.js";
import { classPanel } from "./classes.js";
import { directionsPanel } from "./directions.js";
import { factsPanel } from "./facts.js";
import { Film } from "./film.js";
import { insidePanel } from "./inside.js";
import { keyboard } from "./keys.js";
import { measure } from "./covered.js";
import { mixingPanel } from "./mixing.js";
import { newNoise, noisePanel } from "./noise.js";
import { projectedPanel } from "./projected.js";
import { same } from "./recipe.js";
import { RunView } from "./run.js";
import { anySeed, goBy, seedPanel } from "./seeds.js";
import { Stage, whichSelect } from "./stage.js";
import { Store } from "./state.js";
import { Status } from "./status.js";
import { applyTheme, themeButton, toggleTheme } from "./theme.js";
import { growingPanel, stepPsi, truncationPanel } from "./truncation.js";
import { walkPanel } from "./walk.js";

/**
 * Shows an engine's networks.
 * @param {any} engine about(), request(), onstate(), latents(); and, with a run, run(), reload(),
 *     pictureAddress() and onabout().
 */
export async function start(engine) {
  applyTheme();
  const root = document.getElementById("app");
  const status = new Status();
  root.replaceChildren(element("p", { class: "opening" }, "Opening the network …"), status.node);
  let refresh = () => {};
  engine.onstate((state, sentence) => {
    status.connection(state, sentence);
    if (state === "connected") {
      refresh();
    }
  });
  let about = await engine.about();
  refresh = build(root, engine, about, status);
  if (engine.onabout) {
    engine.onabout((other) => {
      if (!same(other.networks, about.networks)) {
        location.reload(); // other networks may need other panels; the recipe is in the address
      }
      about = other;
    });
  }
}

function build(root, engine, about, status) {
  const run = about.run && about.features.run ? new RunView(engine, about.run.name, status) : null;
  if (!about.networks.length) {
    return buildRun(root, about, status, run);
  }
  const store = new Store();
  const { networks } = about;
  const names = networks.map((network) => network.name).join(" · ");
  const stage = new Stage(engine, store, about, status);
  const film = new Film(store, about.run ? about.run.name : names, filmId(about), status);
  const walk = walkPanel(store, networks, film);
  const keeping = () => film.add(stage.first.canvas);
  const keys = keyboard(shortcuts(store, networks, stage, walk, keeping));
  document.title = `${names} – generator explorer`;
  const panels = [
    projectedPanel(store, networks),
    seedPanel(store),
    classPanel(store, networks),
    truncationPanel(store, networks),
    directionsPanel(store, networks),
    mixingPanel(store, networks),
    noisePanel(store, networks),
    growingPanel(store, networks),
    walk.node,
    insidePanel(engine, store, about, status),
    factsPanel(about),
  ];
  root.replaceChildren(
    header(store, about, names, status, keys, keeping),
    element("main", {},
      element("div", { class: "show" }, stage.node, status.node, film.node, run ? run.node : null),
      element("div", { class: "panels", role: "region", "aria-label": "Controls" }, ...panels.filter(Boolean))),
    keys.overlay);
  measure(root.querySelector("header"), stage.node);
  store.tell();
  return () => stage.refresh();
}

/** A run's pictures stay with it when it has a newer snapshot; others are of their networks. */
function filmId({ run, networks }) {
  return run ? `run ${run.id}` : networks.map((network) => network.id).join(" ");
}

/** A run that has no network yet. */
function buildRun(root, about, status, run) {
  document.title = `${about.run.name} – generator explorer`;
  root.replaceChildren(
    element("header", {}, element("h1", {}, about.run.name), element("span", { class: "spring" }), status.light, themeButton()),
    element("main", { class: "alone" }, element("div", { class: "show" },
      element("p", { class: "note" }, "Pictures come with the run's first snapshot."), status.node, run.node)));
  return () => {};
}

function shortcuts(store, networks, stage, walk, keeping) {
  const of = networks.length > 1 ? ` of ${networks[0].name}` : "";
  return [
    [["ArrowLeft"], "seed before", () => goBy(store, -1)],
    [["ArrowRight"], "next seed", () => goBy(store, 1)],
    [["r"], "any seed", () => anySeed(store)],
    [["["], "ψ down", () => stepPsi(store, networks, -0.05)],
    [["]"], "ψ up", () => stepPsi(store, networks, 0.05)],
    [["n"], "new noise", () => newNoise(store)],
    [["k"], "keep the picture", keeping],
    [[" "], "play or pause the walk", () => walk.toggle()],
    [["s"], `save as PNG${of && `, the picture${of}`}`, () => stage.first.save()],
    [["c"], `copy the command line${of}`, () => stage.first.copy()],
    [["z", "ctrl+z"], "undo", () => store.undo()],
    [["y", "ctrl+y", "ctrl+shift+z"], "redo", () => store.redo()],
    [["t"], "dark or light", toggleTheme],
  ];
}

function header(store, about, names, status, keys, keeping) {
  const undo = button("↶", () => store.undo(), { class: "quiet icon", "aria-label": "Undo", title: "Undo (Z)" });
  const redo = button("↷", () => store.redo(), { class: "quiet icon", "aria-label": "Redo", title: "Redo (Y)" });
  const show = () => {
    undo.disabled = !store.canUndo;
    redo.disabled = !store.canRedo;
  };
  store.onchange(show);
  store.onrest(show);
  show();
  const [first] = about.networks;
  const size = about.networks.length === 1 ? `${first.family}, ${first.resolution}×${first.resolution}` : `${about.networks.length} networks`;
  return element("header", {},
    element("h1", {}, names), element("span", { class: "note size" }, size), whichSelect(store, about),
    element("span", { class: "spring" }),
    status.light, button("Keep", keeping, { class: "strong", title: "Keep the picture (K)" }),
    undo, redo, themeButton(), keys.opener);
}
