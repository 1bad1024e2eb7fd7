// A repository that is being read: its page follows along. Without a socket the page asks every ten seconds.
(function () {
  "use strict";
  var pending = null;
  function status() { return document.getElementById("github-status"); }
  function renew(event) {
    var place = status();
    if (!place) {
      if (document.getElementById("repository-" + event.detail.repository) && event.type !== "desk:sync_progress") location.reload();
      return;
    }
    if (event.detail && event.detail.repository && String(event.detail.repository) !== place.dataset.repository) return;
    if (pending) return;
    pending = setTimeout(function () {
      pending = null;
      // A question that somebody reads is not taken away.
      if (document.getElementById("sync-question")) return;
      htmx.ajax("GET", place.dataset.address, { target: "#github-status", swap: "outerHTML" }).catch(function () {});
    }, event.type === "desk:sync_progress" ? 400 : 50);
  }
  ["sync_progress", "sync_completed", "sync_cancelled", "sync_failed", "again"].forEach(function (what) {
    document.addEventListener("desk:" + what, renew);
  });
})();
