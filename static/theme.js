// Blocking and tiny: the chosen theme, and that there is a script at all, must be known before the first paint.
(function () {
  var root = document.documentElement;
  root.classList.add("scripted");
  try {
    var chosen = localStorage.getItem("theme");
    if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  } catch (refused) { /* no storage: the system's theme is used */ }
})();
