// Starts a single page. Its modules lie in it as text: each becomes an address of this document's
// own, after those that it imports. Written without modules, which an old browser would not run.
(() => {
  const needed = ["DecompressionStream", "CompressionStream", "Worker", "WebAssembly"];
  const missing = needed.filter((name) => !(name in window));
  if (missing.length) {
    document.body.textContent = `This page needs a newer browser: this one has no ${missing[0]}.`;
    return;
  }
  const addresses = {};
  for (const [name, text] of JSON.parse(document.getElementById("modules").textContent)) {
    const linked = text.replace(/"\.\/(\w+\.js)"/g, (quoted, other) =>
      other in addresses ? JSON.stringify(addresses[other]) : quoted,
    );
    addresses[name] = URL.createObjectURL(new Blob([linked], { type: "text/javascript" }));
  }
  window.started = import(addresses["single.js"]).catch((error) => {
    document.body.textContent = `This page does not run in this browser: ${error.message}`;
  });
})();
