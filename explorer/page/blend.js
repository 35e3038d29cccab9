/** Recipes between recipes: pure functions. */
import { classesOf, MAX_SEEDS, round, same } from "./recipe.js";

/**
 * A recipe between two; share: 0 is the first, 1 the second. labelSize: the most classes. usual: the
 * psi and lod that null stands for. Where both have their classes by their seeds, so has what is between.
 */
export function blend(one, other, share, labelSize, usual = {}) {
  if (share <= 0) {
    return structuredClone(one);
  }
  if (share >= 1) {
    return structuredClone(other);
  }
  const near = structuredClone(share < 0.5 ? one : other); // noise, mixing and what has no between
  if (one.projected || other.projected) {
    return near;
  }
  near.seeds = blendSeeds(one.seeds, other.seeds, share);
  if (labelSize && (one.labels || other.labels)) {
    near.labels = blendPairs(classesOf(one, labelSize), classesOf(other, labelSize), 1 - share, share);
  }
  for (const name of ["psi", "lod"]) {
    const [first, second] = [one[name] ?? usual[name], other[name] ?? usual[name]];
    if (!same(one[name], other[name]) && first !== undefined && second !== undefined) {
      near[name] = round(first + share * (second - first));
    }
  }
  const names = new Set([...Object.keys(one.edits), ...Object.keys(other.edits)]);
  near.edits = Object.fromEntries(
    [...names].map((name) => [name, round((1 - share) * (one.edits[name] || 0) + share * (other.edits[name] || 0))]));
  return near;
}

/** Along the great circle that two independent z are a quarter of: z keeps its length. */
function blendSeeds(one, other, share) {
  const angle = (share * Math.PI) / 2;
  const pairs = blendPairs(unit(one), unit(other), Math.cos(angle), Math.sin(angle));
  return pairs.sort((a, b) => Math.abs(b[1]) - Math.abs(a[1])).slice(0, MAX_SEEDS);
}

function unit(seeds) {
  const length = Math.sqrt(seeds.reduce((sum, [, weight]) => sum + weight * weight, 0)) || 1;
  return seeds.map(([seed, weight]) => [seed, weight / length]);
}

function blendPairs(one, other, first, second) {
  const sums = new Map();
  for (const [pairs, factor] of [[one, first], [other, second]]) {
    for (const [key, weight] of pairs) {
      sums.set(key, (sums.get(key) || 0) + factor * weight);
    }
  }
  return [...sums].map(([key, weight]) => [key, round(weight)]).filter(([, weight]) => weight !== 0);
}
