/** A single page: the network is in it, and nothing is fetched. */
import { element } from "./dom.js";
import { OnnxEngine } from "./onnx_engine.js";
import { start } from "./main.js";

/** What a block of the page holds; large ones are removed, as the engine has them then. */
function take(id) {
  const block = document.getElementById(id);
  block.remove();
  return block.textContent;
}

function aboutPanel(entries) {
  const rows = entries.flatMap(([title, text]) => [
    element("dt", {}, title),
    element("dd", {}, text),
  ]);
  const summary = element("summary", {}, "About this page, its network and their licences");
  return element("details", { class: "colophon" }, summary, element("dl", {}, ...rows));
}

const { about, parts, colophon } = JSON.parse(take("about"));
const texts = Object.fromEntries(parts.files.map((name) => [name, take(name)]));
const backend = new URLSearchParams(location.search).get("backend"); // ?backend=wasm: not the GPU
const engine = new OnnxEngine({ about, parts, texts }, backend);
start(engine);
document.body.append(element("footer", {}, aboutPanel(colophon)));
globalThis.engine = engine; // for whoever looks at the page with a browser's console
