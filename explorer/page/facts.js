/** What the networks are, where they come from, and under which licence. */
import { panel } from "./controls.js";
import { element } from "./dom.js";

const LONG = 80; // characters

export function factsPanel(about) {
  const body = about.networks.flatMap((network) => [
    about.networks.length > 1 ? element("h3", {}, network.name) : null,
    list(facts(network)),
    network.licence ? element("p", { class: "note licence" }, network.licence) : null,
  ]);
  const texts = (about.about || []).flatMap(([title, text]) => [
    element("h3", {}, title),
    element("p", { class: "note licence" }, text),
  ]);
  const program = texts.length
    ? texts
    : [element("p", { class: "note" }, "The explorer itself is under Apache-2.0.")];
  return panel("About", false, ...body, ...program);
}

function facts(network) {
  const colors = { 1: "gray", 3: "colours", 4: "colours and alpha" };
  const pairs = [
    ["Network", network.title],
    ["Family", network.family],
    ["Pictures", `${network.resolution}×${network.resolution}, ${colors[network.channels] || `${network.channels} channels`}`],
    ["Latents", String(network.latent_size)],
    network.label_size ? ["Classes", String(network.label_size)] : null,
    network.styles ? ["Layers of styles", String(network.w_layers)] : null,
    ...Object.entries(network.provenance || {}).map(([name, value]) => [name, inText(value)]),
  ];
  return pairs.filter(Boolean);
}

const inText = (value) => (typeof value === "object" ? JSON.stringify(value) : String(value));

function list(pairs) {
  return element("dl", { class: "facts" },
    ...pairs.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, folded(value))]));
}

/** Long texts, such as a run's whole configuration, are folded. */
function folded(text) {
  return text.length > LONG
    ? element("details", {}, element("summary", {}, `${text.slice(0, LONG / 2)} …`), text)
    : text;
}
