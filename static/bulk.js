// Choosing tickets in the queue: by box, by x, from one to another with Shift; what is chosen stays so while rows change.
(function () {
  "use strict";
  var form = document.getElementById("bulk-form");
  if (!form) return;
  var chosen = new Set(), last = null;
  var all = document.getElementById("bulk-all"), label = document.getElementById("bulk-all-label");

  function boxes() { return Array.from(document.querySelectorAll("#rows input[name=ticket]")); }
  function keysOff() { try { return localStorage.getItem("keys") === "off"; } catch (refused) { return false; } }
  function set(box, on) {
    box.checked = on;
    if (on) chosen.add(box.value); else chosen.delete(box.value);
    var row = box.closest(".row");
    row.classList.toggle("row-chosen", on);
    row.setAttribute("aria-selected", String(on));
  }
  function range(from, to, on) {
    var every = boxes(), a = every.findIndex(function (box) { return box.value === from; }), b = every.indexOf(to);
    if (a < 0) a = b;
    every.slice(Math.min(a, b), Math.max(a, b) + 1).forEach(function (box) { set(box, on); });
  }
  function choose(box, on, extend) {
    if (extend && last !== null) range(last, box, on); else set(box, on);
    last = box.value;
    show();
  }
  function show() {
    var count = chosen.size, shown = boxes(), here = shown.filter(function (box) { return box.checked; }).length;
    form.classList.toggle("bulk-open", count > 0);
    document.body.classList.toggle("bulk-choosing", count > 0);
    document.querySelectorAll("[data-choose-all]").forEach(function (head) {
      head.checked = here > 0 && here === shown.length;
      head.indeterminate = here > 0 && here < shown.length;
    });
    if (!count) all.checked = false;
    // All that match is offered once everything shown is chosen, and more than that matches.
    var matching = document.querySelector(".tab[aria-current] .count"), words = matching ? matching.textContent.trim() : "";
    label.hidden = !(here === shown.length && document.getElementById("older"));
    if (label.hidden) all.checked = false;
    document.getElementById("bulk-all-count").textContent = words ? " (" + words + ")" : "";
    document.getElementById("bulk-count").textContent = all.checked ? "All that match" : count.toLocaleString("en-GB") + " chosen";
  }
  function clear() {
    boxes().forEach(function (box) { set(box, false); });
    chosen.clear(); last = null; all.checked = false;
    show();
  }

  var shift = false;
  document.addEventListener("click", function (event) { shift = event.shiftKey; }, true);
  document.addEventListener("change", function (event) {
    var box = event.target;
    if (box.matches("#rows input[name=ticket]")) choose(box, box.checked, shift);
    else if (box.matches("[data-choose-all]")) { boxes().forEach(function (one) { set(one, box.checked); }); show(); }
    else if (box === all) show();
  });
  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || document.querySelector("dialog[open]")) return;
    var row = event.target.closest && event.target.closest("#rows .row");
    if (event.key === "Escape" && chosen.size && !document.querySelector("details.menu[open]") && !window.desk.typing(event.target)) { clear(); return; }
    var typing = event.target.matches && event.target.matches("input:not([type=checkbox]), textarea, select, [contenteditable]");
    if (event.key.toLowerCase() !== "x" || keysOff() || typing || !row) return;
    var box = row.querySelector("input[name=ticket]");
    if (box) { event.preventDefault(); choose(box, event.shiftKey || !box.checked, event.shiftKey); }
  });
  document.getElementById("bulk-clear").addEventListener("click", clear);

  // Rows come anew while somebody chooses: they stay chosen. One that left the queue is chosen no more.
  new MutationObserver(function (changes) {
    var rows = changes.some(function (one) { return one.target.id === "rows" || one.target.closest && one.target.closest("#queue"); });
    if (!rows || !chosen.size) return;
    var here = boxes();
    here.forEach(function (box) { if (chosen.has(box.value) !== box.checked) set(box, chosen.has(box.value)); });
    var still = new Set(here.map(function (box) { return box.value; }));
    Array.from(chosen).forEach(function (number) { if (!still.has(number)) chosen.delete(number); });
    show();
  }).observe(document.querySelector("main"), { childList: true, subtree: true });

  form.addEventListener("htmx:afterRequest", function (event) {
    form.querySelectorAll("details[open]").forEach(function (menu) { menu.open = false; });
    if (event.detail.successful) { document.getElementById("bulk-tag").value = ""; clear(); }
  });
  // Enter in the tags adds them; it never presses the first button of the bar.
  document.getElementById("bulk-tag").addEventListener("keydown", function (event) {
    if (event.key !== "Enter") return;
    event.preventDefault();
    document.getElementById("bulk-tag-add").click();
  });
  boxes().forEach(function (box) { if (box.checked) set(box, true); });  // what the browser kept over a reload
  show();
})();
