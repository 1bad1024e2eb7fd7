// Promised times move on by themselves: what is left, near, or over. The desk's own news put a new row in their place.
(function () {
  "use strict";
  function short(span) {
    var seconds = Math.abs(span) / 1000;
    if (seconds < 60) return "now";
    if (seconds < 3600) return Math.floor(seconds / 60) + "m";
    if (seconds < 86400) return Math.floor(seconds / 3600) + "h";
    return seconds < 63072000 ? Math.floor(seconds / 86400) + "d" : Math.floor(seconds / 31536000) + "y";
  }
  function tell(clock, now) {
    var left = Number(clock.dataset.due) - now, span = short(left), word = clock.dataset.word;
    var late = left < 0, state = late ? "late" : Number(clock.dataset.warn) <= now ? "soon" : "running";
    var words = late ? word + " overdue by " + (span === "now" ? "a moment" : span)
      : word + " due in " + (span === "now" ? "less than a minute" : span);
    if (clock.title === words) return;
    clock.title = words;
    clock.classList.remove("clock-running", "clock-soon", "clock-late");
    clock.classList.add("clock-" + state);
    clock.children[1].textContent = span === "now" ? (late ? "now" : "<1m") : (late ? "-" : "") + span;
    clock.children[2].textContent = words;
  }
  setInterval(function () {
    var now = Date.now();
    document.querySelectorAll(".clock[data-due]").forEach(function (clock) { tell(clock, now); });
  }, 15000);
})();
