/** A single page: the network is in it, and nothing is fetched. */
import { OnnxEngine } from "./onnx_engine.js";
import { start } from "./main.js";

/** What a block of the page holds; large ones are removed, as the engine has them then. */
function take(id) {
  const block = document.getElementById(id);
  block.remove();
  return block.textContent;
}

const { about, parts } = JSON.parse(take("about"));
const texts = Object.fromEntries(parts.files.map((name) => [name, take(name)]));
const backend = new URLSearchParams(location.search).get("backend"); // ?backend=wasm: not the GPU
const engine = new OnnxEngine({ about, parts, texts }, backend);
start(engine);
globalThis.engine = engine; // for whoever looks at the page with a browser's console
