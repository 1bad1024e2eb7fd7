// The bell: the socket only says that there is news for this person; what it is, the page asks for itself.
(function () {
  "use strict";
  var bell = document.getElementById("bell");
  if (!bell) return;
  var asking = null;

  function fetchAnew() {
    if (asking) return;
    asking = setTimeout(function () {
      asking = null;
      htmx.ajax("GET", bell.dataset.bell, { source: bell, target: "#bell-count", swap: "outerHTML" }).catch(function () {});
      if (bell.open) latest();
      var list = document.getElementById("notifications");
      if (list && !list.contains(document.activeElement)) htmx.ajax("GET", list.dataset.again, { source: list, target: "#notifications", swap: "outerHTML" }).catch(function () {});
    }, 60);
  }
  function latest() {
    htmx.ajax("GET", bell.dataset.bell + "?open=1", { source: bell, target: "#bell-latest", swap: "outerHTML" }).catch(function () {});
  }
  bell.addEventListener("toggle", function () { if (bell.open) latest(); });
  document.addEventListener("desk:news", fetchAnew);
  document.addEventListener("desk:again", fetchAnew);  // the socket was away: there may be news that it did not hear
})();
