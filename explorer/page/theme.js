/** Dark or light: the system's, unless it was chosen here. */
import { button, keep, remembered } from "./controls.js";

const KEY = "explorer theme";

export function applyTheme(theme = remembered(KEY)) {
  if (theme === "dark" || theme === "light") {
    document.documentElement.dataset.theme = theme;
  } else {
    delete document.documentElement.dataset.theme;
  }
  document.dispatchEvent(new Event("themechange"));
}

export function toggleTheme() {
  const chosen = document.documentElement.dataset.theme;
  const dark = chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const theme = dark ? "light" : "dark";
  keep(KEY, theme);
  applyTheme(theme);
}

export function themeButton() {
  return button("◐", toggleTheme, { class: "quiet icon", "aria-label": "Dark or light", title: "Dark or light (T)" });
}
