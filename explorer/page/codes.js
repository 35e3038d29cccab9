// From a recipe to what a generator's two halves take: latents, labels, w, noise. Sums are rounded
// to float32 at every step, as the networks' own code rounds them.
import { latent, noiseImages } from "./random.js";

/** @typedef {{latent_size: number, label_size: number, noise_layers: number[][]}} Network  of About */

/**
 * z of a recipe's seeds: Σ weight · z(seed) / √(Σ weight²).
 * @returns {Float32Array}
 */
export function latentOf(recipe, network) {
  const seeds = recipe.seeds ?? [[0, 1]];
  const sum = new Float64Array(network.latent_size);
  const length = Math.hypot(...seeds.map(([, weight]) => weight));
  for (const [seed, weight] of seeds) {
    const share = weight / length;
    latent(seed, network.latent_size).forEach((value, i) => (sum[i] += share * value));
  }
  return Float32Array.from(sum);
}

/**
 * The labels of a picture: those of the recipe, else the classes that the seeds' numbers give.
 * @returns {Float32Array}
 */
export function labelsOf(recipe, network) {
  const labels = new Float32Array(network.label_size);
  if (!network.label_size) return labels;
  const seeds = recipe.seeds ?? [[0, 1]];
  const counted = seeds.some(([, weight]) => weight > 0) ? seeds : seeds.map(([seed]) => [seed, 1]);
  const given = recipe.labels ??
    counted.map(([seed, weight]) => [seed % network.label_size, Math.max(weight, 0)]);
  const whole = given.reduce((sum, [, weight]) => sum + weight, 0) || 1;
  for (const [index, weight] of given) labels[index] += weight / whole;
  return labels;
}

/**
 * w_avg + ψ (w − w_avg) in the layers below the cutoff.
 * @param {Float32Array} w  [layers, width], changed
 * @param {Float32Array} average  [width]
 * @param {{psi: (number|null)[], layers: number[]}} truncation  the network's own, and the usual
 *   where a recipe gives one of the two
 */
export function truncate(w, average, recipe, truncation) {
  const asked = [recipe.psi, recipe.cutoff].some((value) => (value ?? null) !== null);
  const psi = recipe.psi ?? truncation.psi[asked ? 1 : 0];
  const layers = recipe.cutoff ?? truncation.layers[asked ? 1 : 0];
  if (psi === null || psi === 1) return;
  const width = average.length;
  const moved = Math.min(Math.ceil(layers) * width, w.length);
  for (let i = 0; i < moved; i++) {
    const mean = average[i % width];
    w[i] = mean + Math.fround(Math.fround(w[i] - mean) * Math.fround(psi));
  }
}

/**
 * w moved along directions.
 * @param {Float32Array} w  [layers, width], changed
 * @param {{name: string, layers: number[], vector: Float32Array}[]} directions
 */
export function edit(w, recipe, directions) {
  for (const [name, amount] of Object.entries(recipe.edits ?? {})) {
    const direction = directions.find((one) => one.name === name);
    if (!direction) throw new Error(`There is no direction ${name} in this page.`);
    const { layers, vector } = direction;
    const width = vector.length;
    for (let i = layers[0] * width; i < layers[1] * width; i++) {
      w[i] += Math.fround(Math.fround(amount) * vector[i % width]);
    }
  }
}

/**
 * A noise image for each layer.
 * @param {Float32Array[]} fixed  the network's own
 * @returns {Float32Array[]}
 */
export function noiseOf(recipe, network, fixed) {
  const shapes = network.noise_layers;
  const kinds = Array.isArray(recipe.noise)
    ? recipe.noise
    : shapes.map(() => recipe.noise ?? "fixed");
  const seed = recipe.noise_seed ?? (recipe.seeds ?? [[0, 1]])[0][0];
  // All layers are drawn, so that a layer's noise does not depend on the others.
  const drawn = kinds.includes("random") ? noiseImages(seed, shapes) : [];
  const made = { fixed: (i) => fixed[i], random: (i) => drawn[i] };
  return shapes.map(([height, width], i) =>
    kinds[i] in made ? made[kinds[i]](i) : new Float32Array(height * width),
  );
}

/**
 * Values about [−1, 1] as levels 0 to 255: the nearest, and the even one of two.
 * @param {Float32Array} values
 * @returns {Uint8ClampedArray}
 */
export function levelsOf(values) {
  const levels = new Uint8ClampedArray(values.length); // which rounds so
  for (let i = 0; i < values.length; i++) {
    levels[i] = Math.fround(Math.fround(values[i] * 127.5) + 127.5);
  }
  return levels;
}
