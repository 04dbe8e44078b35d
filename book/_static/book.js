// A word that was searched for may lie in something folded: unfold it. Sphinx marks such words
// 10 ms after the page is ready, so a little later they are there.
addEventListener("load", () => setTimeout(() => {
  for (const word of document.querySelectorAll("details .highlighted")) {
    word.closest("details").open = true;
  }
  if (!location.hash) document.querySelector("article .highlighted")?.scrollIntoView({block: "center"});
}, 100));
