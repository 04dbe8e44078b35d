// A word that was searched for may lie in something folded: unfold it.
addEventListener("load", () => {
  for (const word of document.querySelectorAll("details .highlighted")) {
    for (let fold = word.closest("details"); fold; fold = fold.parentElement.closest("details")) {
      fold.open = true;
    }
  }
});
