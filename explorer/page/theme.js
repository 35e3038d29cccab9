/** Dark or light: the system's, unless it was chosen here. */
import { button, keep, remembered } from "./controls.js";

const KEY = "explorer theme";
const THEMES = ["dark", "light"];
const system = matchMedia("(prefers-color-scheme: dark)");
const root = document.documentElement;
system.addEventListener("change", applyTheme);

export function applyTheme() {
  const chosen = remembered(KEY);
  root.dataset.theme = THEMES.includes(chosen) ? chosen : THEMES[system.matches ? 0 : 1];
  document.dispatchEvent(new Event("themechange"));
}

export function toggleTheme() {
  keep(KEY, root.dataset.theme === "dark" ? "light" : "dark");
  applyTheme();
}

export function themeButton() {
  return button("◐", toggleTheme, { class: "quiet icon", "aria-label": "Dark or light", title: "Dark or light (T)" });
}
