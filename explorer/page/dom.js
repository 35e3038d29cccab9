/** Elements of the page, made without markup in strings: what comes from files stays text. */

/**
 * An element. Properties that begin with "on" are listeners, "class" is className, "data-…" and
 * "aria-…" and "role" are attributes, the rest are properties of the element. Children that are null
 * or false are left out.
 * @param {string} tag
 * @param {Object<string, any>} [properties]
 * @param {...(Node|string|number|null|false)} children
 * @returns {any}
 */
export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  assign(node, properties);
  node.append(...children.flat().filter((child) => child !== null && child !== false));
  return node;
}

const SVG = "http://www.w3.org/2000/svg";

/** An SVG element; all properties are attributes. */
export function shape(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) {
    node.setAttribute(name, String(value));
  }
  node.append(...children);
  return node;
}

function assign(node, properties) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined) {
      continue;
    }
    if (name.startsWith("on")) {
      node.addEventListener(name.slice(2), value);
    } else if (name === "class") {
      node.className = value;
    } else if (name === "role" || name.includes("-")) {
      node.setAttribute(name, value);
    } else {
      node[name] = value;
    }
  }
}

/** Unique ids, for labels and what they name. */
let made = 0;
export function freshId(stem) {
  made += 1;
  return `${stem}-${made}`;
}

/** Hands a file to the user. */
export function download(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = element("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}
