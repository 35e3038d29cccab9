/** Charts of a run: lines over thousands of images, with axes, and values under the pointer. */
import { element, shape } from "./dom.js";

const WIDTH = 320;
const HEIGHT = 150;
const EDGE = { left: 44, right: 10, top: 8, bottom: 22 };

/**
 * @param {string} title
 * @param {Array<{name: string, points: Array<[number, number]>}>} lines points by rising kimg
 * @returns {HTMLElement}
 */
export function chart(title, lines) {
  const points = lines.flatMap((line) => line.points);
  const x = scale(extent(points.map(([kimg]) => kimg)), EDGE.left, WIDTH - EDGE.right);
  const y = scale(extent(points.map(([, value]) => value), 0.06), HEIGHT - EDGE.bottom, EDGE.top);
  const svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": inWords(title, lines) });
  svg.append(...grid(x, y));
  lines.forEach((line, k) => svg.append(curve(line.points, x, y, k)));
  const value = element("span", { class: "value" });
  hover(svg, lines, x, y, value);
  const legend = lines.map((line, k) =>
    element("span", { class: `legend line-${k % 4}` }, line.name));
  return element("figure", { class: "chart" },
    element("figcaption", {}, element("strong", {}, title), lines.length > 1 ? legend : null, value), svg);
}

function extent(values, margin = 0) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (high - low <= 1e-12 * Math.max(Math.abs(low), Math.abs(high))) { // rounding is no curve
    const around = Math.abs(low) * 0.1 || 1;
    return [low - around, high + around];
  }
  const room = margin * (high - low);
  return [low - room, high + room];
}

function scale([low, high], from, to) {
  const map = (value) => from + ((value - low) / (high - low)) * (to - from);
  map.back = (place) => low + ((place - from) / (to - from)) * (high - low);
  map.ticks = ticks(low, high);
  return map;
}

/** Round numbers, about four of them. */
function ticks(low, high) {
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough) * power;
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, k) => (first + k) * step);
}

function grid(x, y) {
  const lines = y.ticks.flatMap((value) => [
    shape("line", { class: "grid", x1: EDGE.left, x2: WIDTH - EDGE.right, y1: y(value), y2: y(value) }),
    shape("text", { x: EDGE.left - 6, y: y(value) + 3, "text-anchor": "end" }, short(value)),
  ]);
  const room = WIDTH - EDGE.right - 40; // the unit's
  const below = x.ticks.filter((value) => x(value) < room).map((value) =>
    shape("text", { x: x(value), y: HEIGHT - 6, "text-anchor": "middle" }, short(value)));
  const unit = shape("text", { x: WIDTH - EDGE.right, y: HEIGHT - 6, "text-anchor": "end" }, "kimg");
  return [...lines, ...below, unit, shape("line", { class: "axis", x1: EDGE.left, x2: WIDTH - EDGE.right, y1: HEIGHT - EDGE.bottom, y2: HEIGHT - EDGE.bottom })];
}

function curve(points, x, y, k) {
  const path = points.map(([kimg, value], n) => `${n ? "L" : "M"}${x(kimg).toFixed(1)} ${y(value).toFixed(1)}`);
  if (points.length === 1) {
    return shape("circle", { class: `line-${k % 4}`, cx: x(points[0][0]), cy: y(points[0][1]), r: 2.5 });
  }
  return shape("path", { class: `curve line-${k % 4}`, d: path.join("") });
}

/** The values of the tick that is nearest to the pointer. */
function hover(svg, lines, x, y, output) {
  const mark = shape("line", { class: "mark", y1: EDGE.top, y2: HEIGHT - EDGE.bottom, visibility: "hidden" });
  svg.append(mark);
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const kimg = x.back(((event.clientX - box.left) / box.width) * WIDTH);
    const near = lines.map((line) => nearest(line.points, kimg)).filter(Boolean);
    if (near.length) {
      mark.setAttribute("x1", x(near[0][0]));
      mark.setAttribute("x2", x(near[0][0]));
      mark.setAttribute("visibility", "visible");
      output.textContent = `${short(near[0][0])} kimg: ${near.map(([, value]) => short(value)).join(" · ")}`;
    }
  });
  svg.addEventListener("pointerleave", () => {
    mark.setAttribute("visibility", "hidden");
    output.textContent = "";
  });
}

function nearest(points, kimg) {
  return points.reduce((best, point) =>
    (!best || Math.abs(point[0] - kimg) < Math.abs(best[0] - kimg) ? point : best), null);
}

export function short(value) {
  const text = Math.abs(value) >= 1e5 || (value && Math.abs(value) < 1e-3)
    ? value.toExponential(1)
    : String(Number(value.toPrecision(3)));
  return text.replace("-", "−");
}

function inWords(title, lines) {
  const ends = lines.filter((line) => line.points.length).map((line) => `${line.name} ${short(line.points[line.points.length - 1][1])}`);
  return `${title}, at the end: ${ends.join(", ")}`;
}
