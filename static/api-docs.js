// The page of the API has a dark look of its own; it follows the desk's theme, or the system's where none was chosen.
(function () {
  var root = document.documentElement;
  var system = window.matchMedia("(prefers-color-scheme: dark)");
  function follow() {
    root.classList.toggle("dark-mode", root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  }
  follow();
  system.addEventListener("change", follow);
})();
