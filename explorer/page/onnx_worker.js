// Where a single page's pictures are computed: a Web Worker, so that the page stays live. The
// exporter joins these modules to one classic script: a page that lies in a file can start no other.
import { arraysOf, unpack } from "./assets.js";
import { edit, labelsOf, latentOf, levelsOf, noiseOf, truncate } from "./codes.js";
import { encodeNpz } from "./npz.js";
import { encodePng } from "./png.js";

const WEBGPU_TOLERANCE = 0.02; // of the images' range, which is 2

let network; // of the contract's About
let plan; // what the page says of its parts: explorer/single_page.py
let mapping = null;
let synthesis;
let arrays;
let directions;
let ort;
let onCpu = null; // opens the synthesis on the CPU, as long as it is on the GPU
let opened = false;
let before = Promise.resolve(); // of the work: a session does one thing at a time

/** Opens the runtime and the network's halves; returns a sentence where it is not as fast as wished. */
async function open({ about, parts, texts, backend }) {
  network = about.networks[0];
  plan = parts;
  const runtime = new Blob([await unpack(texts.runtime)], { type: "text/javascript" });
  ort = await import(URL.createObjectURL(runtime));
  ort.env.logLevel = "error";
  ort.env.wasm.numThreads = 1; // more would need headers that a file does not have
  ort.env.wasm.wasmBinary = (await unpack(texts.wasm)).buffer;
  arrays = arraysOf(await unpack(texts.arrays), plan.arrays);
  directions = plan.directions.map((one) => ({ ...one, vector: arrays[`direction ${one.name}`] }));
  if (texts.mapping) mapping = await session(await unpack(texts.mapping), "wasm");
  const state = await openSynthesis(await unpack(texts.synthesis), backend);
  opened = true;
  return state;
}

function session(bytes, provider) {
  return ort.InferenceSession.create(bytes, { executionProviders: [provider] });
}

/** On the GPU where the browser has it and it computes what it should; else on the CPU. */
async function openSynthesis(bytes, backend) {
  onCpu = () => session(bytes, "wasm");
  if (backend === "wasm" || !(await hasGpu(backend === "webgpu"))) {
    synthesis = await onCpu();
    onCpu = null;
    return { backend: "WebAssembly", note: null };
  }
  try {
    synthesis = await session(bytes, "webgpu");
    if ((await check()) <= WEBGPU_TOLERANCE) return { backend: "WebGPU", note: null };
  } catch (error) {
    console.info(`WebGPU: ${error}`);
  }
  return { backend: "WebAssembly", note: await leaveGpu() };
}

/** A software's imitation of a GPU is slower than the CPU: it counts only where it is asked for. */
async function hasGpu(anyKind) {
  try {
    const adapter = await self.navigator.gpu?.requestAdapter();
    return Boolean(adapter) && (anyKind || !adapter.info?.isFallbackAdapter);
  } catch {
    return false;
  }
}

/** From now on the CPU computes; returns a sentence that says so. */
async function leaveGpu() {
  if (onCpu) synthesis = await onCpu();
  onCpu = null;
  return "WebGPU did not make the network's pictures: they are computed on the CPU.";
}

/** Images of the synthesis' inputs; where a GPU is lost they are computed all the same. */
async function synthesize(feeds) {
  try {
    return await synthesis.run(feeds);
  } catch (error) {
    if (!onCpu || !opened) throw error;
    self.postMessage({ note: await leaveGpu() });
    return synthesis.run(feeds);
  }
}

/** How far seed 0's picture is from what it was where the page was made. */
async function check() {
  const { data } = await images({});
  const expected = arrays.check;
  const step = Math.floor(data.length / expected.length);
  return expected.reduce((far, value, i) => Math.max(far, Math.abs(data[i * step] - value)), 0);
}

/** Codes of seeds [1, …] after truncation: w, or what the family makes of a latent and labels. */
async function codesOf(recipe) {
  const z = latentOf(recipe, network);
  const labels = labelsOf(recipe, network);
  const feeds = {
    z: new ort.Tensor("float32", z, [1, z.length]),
    labels: new ort.Tensor("float32", labels, [1, labels.length]),
  };
  const taken = Object.fromEntries(mapping.inputNames.map((name) => [name, feeds[name]]));
  const made = (await mapping.run(taken))[mapping.outputNames[0]];
  const codes = Float32Array.from(made.data);
  if (network.styles) truncate(codes, arrays.average, recipe, plan.truncation);
  return { codes, dims: made.dims };
}

/** Codes of a recipe: with the layers of other seeds, and edits. */
async function codesOfRecipe(recipe) {
  const { codes, dims } = await codesOf(recipe);
  const width = codes.length / (network.w_layers || 1);
  const others = new Map();
  for (const [layer, seed] of recipe.mixing ?? []) {
    if (!others.has(seed)) {
      others.set(seed, (await codesOf({ ...recipe, seeds: [[seed, 1]] })).codes);
    }
    codes.set(others.get(seed).subarray(layer * width, (layer + 1) * width), layer * width);
  }
  edit(codes, recipe, directions);
  return { codes, dims };
}

/** The network's values for a recipe: data of about [−1, 1], [1, height, width, channels]. */
async function images(recipe) {
  const { codes, dims } = await codesOfRecipe(recipe);
  const feeds = { [synthesis.inputNames[0]]: new ort.Tensor("float32", codes, dims) };
  const fixed = network.noise_layers.map((_, i) => arrays[`noise${i}`]);
  noiseOf(recipe, network, fixed).forEach((image, i) => {
    const name = `noise${i}`; // a network that was still growing does not use all of them
    if (synthesis.inputNames.includes(name)) {
      feeds[name] = new ort.Tensor("float32", image, [1, ...network.noise_layers[i], 1]);
    }
  });
  const made = (await synthesize(feeds))[synthesis.outputNames[0]];
  return { data: made.data, dims: made.dims };
}

/** What latents.npz of `run_generator.py images` holds of a picture of seeds. */
async function latents(recipe) {
  const { codes, dims } = await codesOfRecipe(recipe);
  const z = latentOf(recipe, network);
  const first = (recipe.seeds ?? [[0, 1]])[0][0];
  const seed = BigInt64Array.of(BigInt(recipe.noise_seed ?? first));
  const held = { seeds: { data: seed, shape: [1] } };
  if (network.styles) held.w = { data: codes, shape: dims };
  held.z = { data: z, shape: [1, z.length] };
  if (network.label_size) {
    held.labels = { data: labelsOf(recipe, network), shape: [1, network.label_size] };
  }
  return { blob: encodeNpz(held) };
}

async function picture(recipe) {
  const started = performance.now();
  const { data, dims } = await images(recipe);
  const [, height, width, channels] = dims;
  const blob = await encodePng(levelsOf(data), width, height, channels);
  const milliseconds = performance.now() - started;
  return { header: { mime: "image/png", width, height, milliseconds }, blob };
}

const WORK = {
  open,
  picture: ({ recipe }) => picture(recipe),
  latents: ({ recipe }) => latents(recipe),
  values: ({ recipe }) => images(recipe),
};

async function answer(message) {
  try {
    self.postMessage({ id: message.id, result: await WORK[message.work](message) });
  } catch (error) {
    self.postMessage({ id: message.id, error: error?.message ?? String(error) });
  }
}

self.onmessage = ({ data }) => {
  before = before.then(() => answer(data));
};
