/** On narrow screens header and pictures stay in view: the style is told how much they cover. */

export function measure(header, stage) {
  const root = document.documentElement.style;
  const tell = () => {
    root.setProperty("--header", `${header.offsetHeight}px`);
    root.setProperty("--covered", `${header.offsetHeight + stage.offsetHeight + 8}px`);
  };
  const observer = new ResizeObserver(tell);
  observer.observe(header);
  observer.observe(stage);
  tell();
}
