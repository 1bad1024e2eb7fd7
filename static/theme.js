// Blocking and tiny: the chosen theme must be set before the first paint.
(function () {
  try {
    var chosen = localStorage.getItem("theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch (refused) { /* no storage: the system's theme is used */ }
})();
