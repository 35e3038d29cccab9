/**
 * What a picture is made from, as the page keeps it and as a network takes it: pure functions.
 *
 * @typedef {Object} Recipe
 * @property {"Gs"|"G"} [which]
 * @property {Array<[number, number]>} seeds           seeds and their weights
 * @property {null|Array<[number, number]>} labels     classes and their weights; null: by the seeds
 * @property {null|number} psi
 * @property {null|number} cutoff
 * @property {string|string[]} noise                   of all layers, or of each
 * @property {number} [noise_seed]
 * @property {Array<[number, number]>} mixing          layers and the seeds that give their w
 * @property {Object<string, number>} edits            directions, in units
 * @property {null|string} projected
 * @property {null|number} lod
 */

export const SEEDS = 2 ** 32;
/** Seeds that lie above and below each other on the plane differ by this. */
export const ROW = 1000;
export const MAX_SEEDS = 8;

/** @returns {Recipe} */
export function fresh(seed = 0) {
  return {
    seeds: [[seed, 1]],
    labels: null,
    psi: null,
    cutoff: null,
    noise: "fixed",
    mixing: [],
    edits: {},
    projected: null,
    lod: null,
  };
}

export const wrap = (seed) => ((Math.round(seed) % SEEDS) + SEEDS) % SEEDS;
export const round = (value, digits = 4) => Number(value.toFixed(digits));
export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
export const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

/** The seed that counts most. */
export function mainSeed(recipe) {
  return recipe.seeds.reduce((best, one) => (one[1] > best[1] ? one : best))[0];
}

/** @returns {Array<[number, number]>} the seeds around a point of the plane, with their weights. */
export function seedsAt(x, y) {
  const [column, row] = [Math.floor(x), Math.floor(y)];
  const [right, down] = [x - column, y - row];
  const corners = [
    [0, 0, (1 - right) * (1 - down)],
    [1, 0, right * (1 - down)],
    [0, 1, (1 - right) * down],
    [1, 1, right * down],
  ];
  const weighted = corners
    .map(([i, j, weight]) => [wrap(column + i + ROW * (row + j)), round(weight)])
    .filter(([, weight]) => weight > 0);
  return weighted.length === 1 ? [[weighted[0][0], 1]] : weighted;
}

/** @returns {{x: number, y: number, on: boolean}} where seeds lie on the plane; on: whether they do. */
export function placeOf(seeds) {
  const offsets = [0, 1, ROW, ROW + 1];
  const total = seeds.reduce((sum, [, weight]) => sum + weight, 0);
  for (const [base] of seeds) {
    const distances = seeds.map(([seed]) => wrap(seed - base));
    if (total > 0 && distances.every((distance) => offsets.includes(distance))) {
      const share = (test) =>
        seeds.reduce((sum, [, weight], k) => sum + (test(distances[k]) ? weight : 0), 0) / total;
      return {
        x: (base % ROW) + share((d) => d % ROW === 1),
        y: Math.floor(base / ROW) + share((d) => d >= ROW),
        on: true,
      };
    }
  }
  const seed = seeds[0][0];
  return { x: seed % ROW, y: Math.floor(seed / ROW), on: false };
}

/** The classes of a recipe, weights summing to 1; between seeds those of the seeds, in their shares. */
export function classesOf(recipe, size) {
  const pairs = recipe.labels || recipe.seeds.map(([seed, weight]) => [seed % size, weight]);
  const sums = new Map();
  for (const [index, weight] of pairs) {
    if (index < size && weight > 0) {
      sums.set(index, (sums.get(index) || 0) + weight);
    }
  }
  const total = [...sums.values()].reduce((sum, weight) => sum + weight, 0);
  return total > 0 ? [...sums].map(([index, weight]) => [index, round(weight / total)]) : [[0, 1]];
}

/** What of a recipe a network takes: the rest is left out, so that several share one recipe. */
export function fit(recipe, network) {
  const sent = { seeds: recipe.seeds };
  const put = (name, value, wanted) => {
    if (wanted && value !== null && value !== undefined) {
      sent[name] = value;
    }
  };
  put("which", recipe.which, network.which.includes(recipe.which));
  put("projected", recipe.projected, network.projected.includes(recipe.projected));
  if (network.label_size && recipe.labels) {
    sent.labels = classesOf(recipe, network.label_size);
  }
  const styles = network.styles;
  put("psi", recipe.psi, styles);
  put("cutoff", Math.min(recipe.cutoff ?? 0, network.w_layers), styles && recipe.cutoff !== null);
  const noise = noiseFor(recipe.noise, network.noise_layers.length);
  put("noise", noise, network.noise_layers.length && noise !== "fixed");
  put("noise_seed", recipe.noise_seed, network.noise_layers.length && isRandom(noise));
  const mixing = recipe.mixing.filter(([layer]) => layer < network.w_layers);
  put("mixing", mixing, styles && network.w_layers > 1 && mixing.length > 0);
  const names = new Set(network.directions.map((direction) => direction.name));
  const edits = Object.entries(recipe.edits).filter(([name, units]) => names.has(name) && units);
  put("edits", Object.fromEntries(edits), edits.length > 0);
  put("lod", Math.min(recipe.lod ?? 0, network.max_lod), network.growing && recipe.lod !== null);
  return sent;
}

/** One kind where all layers have the same, else a kind for each of `count` layers. */
export function noiseFor(noise, count) {
  if (typeof noise === "string") {
    return noise;
  }
  const kinds = Array.from({ length: count }, (_, layer) => noise[layer] || "fixed");
  return kinds.every((kind) => kind === kinds[0]) ? kinds[0] || "fixed" : kinds;
}

export const isRandom = (noise) => noise === "random" || noise.includes("random");

/** A recipe of any JSON: what does not fit is left at its default, so that a link harms nothing. */
export function tidy(data) {
  const recipe = fresh();
  if (!data || typeof data !== "object") {
    return recipe;
  }
  const number = (value) => typeof value === "number" && Number.isFinite(value);
  const seed = (value) => Number.isInteger(value) && value >= 0 && value < SEEDS;
  const pairs = (value, first, most) =>
    Array.isArray(value) && value.length <= most &&
    value.every((pair) => Array.isArray(pair) && first(pair[0]) && number(pair[1]))
      ? value.map(([one, other]) => [one, other])
      : null;
  const index = (value) => Number.isInteger(value) && value >= 0 && value < 65536;
  const kinds = ["fixed", "random", "none"];
  const seeds = pairs(data.seeds, seed, MAX_SEEDS);
  recipe.seeds = seeds && seeds.length ? seeds : recipe.seeds;
  recipe.labels = pairs(data.labels, index, 1000);
  recipe.mixing = (pairs(data.mixing, index, 64) || []).filter((pair) => seed(pair[1]));
  for (const name of ["psi", "cutoff", "lod"]) {
    recipe[name] = number(data[name]) ? data[name] : null;
  }
  const list = Array.isArray(data.noise) && data.noise.length <= 64 ? data.noise : [data.noise];
  if (list.every((kind) => kinds.includes(kind))) {
    recipe.noise = data.noise;
  }
  if (seed(data.noise_seed)) {
    recipe.noise_seed = data.noise_seed;
  }
  if (["Gs", "G"].includes(data.which)) {
    recipe.which = data.which;
  }
  recipe.projected = typeof data.projected === "string" ? data.projected : null;
  const edits = data.edits && typeof data.edits === "object" ? Object.entries(data.edits) : [];
  recipe.edits = Object.fromEntries(edits.filter(([, units]) => number(units)).slice(0, 256));
  return recipe;
}

/** A few words that tell pictures apart; of all of a recipe, or of what a network takes of it. */
export function inWords({ seeds, projected, labels, psi, cutoff, noise, noise_seed, edits, mixing, lod }) {
  const words = [projected || `seed ${seeds.map(([seed]) => seed).join(" · ")}`];
  if (labels) {
    words.push(`class ${labels.map(([index]) => index).join(" + ")}`);
  }
  for (const [name, value] of [["ψ", psi], ["cutoff", cutoff], ["lod", lod]]) {
    if (value !== null && value !== undefined) {
      words.push(`${name} ${value}`);
    }
  }
  for (const [name, units] of Object.entries(edits || {})) {
    if (units) {
      words.push(`${name} ${units > 0 ? "+" : "−"}${Math.abs(units)}`);
    }
  }
  if (mixing && mixing.length) {
    words.push(`styles of ${[...new Set(mixing.map(([, seed]) => seed))].join(", ")}`);
  }
  words.push(...noiseInWords(noise || "fixed", noise_seed));
  return words.join(", ");
}

/** Nothing of the usual noise. Random noise without a seed of its own has the picture's. */
function noiseInWords(noise, seed) {
  const kinds = [...new Set(typeof noise === "string" ? [noise] : noise)];
  const random = `random noise${seed === null || seed === undefined ? "" : ` ${seed}`}`;
  const usual = { fixed: "fixed noise", none: "no noise", random };
  if (kinds.length > 1) {
    return [`${kinds.map((kind) => usual[kind]).join(" and ")} by layer`];
  }
  return kinds[0] === "fixed" || !kinds.length ? [] : [usual[kinds[0]]];
}
