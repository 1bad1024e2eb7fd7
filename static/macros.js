// Macros beside the reply: found by typing, chosen by keys, put in at the cursor. Nothing is sent by it.
(function () {
  "use strict";
  function menu() { return document.getElementById("macro-menu"); }
  function options() { return Array.from(document.querySelectorAll("#macro-list [data-macro]")); }

  document.addEventListener("toggle", function (event) {
    if (event.target.id !== "macro-menu" || !event.target.open) return;
    var find = document.getElementById("macro-find");
    find.value = "";
    htmx.trigger(find, "macros-open");
    find.focus();
  }, true);
  htmx.onLoad(function () { // a reply that was brought up to date with the list open has lost what stood in it
    if (menu() && menu().open && !document.getElementById("macro-list").children.length) {
      htmx.trigger(document.getElementById("macro-find"), "macros-open");
    }
  });

  function mark(by) {
    var all = options(), at = all.findIndex(function (one) { return one.getAttribute("aria-selected") === "true"; });
    if (!all.length) return;
    var next = Math.max(0, Math.min(all.length - 1, at + by));
    all.forEach(function (one, place) { one.setAttribute("aria-selected", String(place === next)); });
    all[next].scrollIntoView({ block: "nearest" });
    document.getElementById("macro-find").setAttribute("aria-activedescendant", all[next].id);
  }
  document.addEventListener("keydown", function (event) {
    if (event.target.id !== "macro-find") return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") { event.preventDefault(); mark(event.key === "ArrowDown" ? 1 : -1); }
    else if (event.key === "Enter") {
      event.preventDefault(); // and never the form around it
      event.stopPropagation();
      var chosen = options().find(function (one) { return one.getAttribute("aria-selected") === "true"; });
      if (chosen) choose(chosen);
    }
  }, true);
  document.addEventListener("click", function (event) {
    var hit = event.target.closest && event.target.closest("[data-macro]");
    if (hit) choose(hit);
  });

  function choose(option) {
    var editor = document.getElementById("reply-text"), text = document.getElementById("macro-text-" + option.dataset.macro);
    if (!editor || !text) return;
    menu().open = false;
    var before = editor.value.slice(0, editor.selectionStart);
    window.desk.put(editor, (before && !/\s$/.test(before) ? "\n\n" : "") + text.textContent);
    leading("keepOpen" in option.dataset);
    if ("does" in option.dataset) {
      htmx.ajax("POST", option.dataset.use, { source: "#macro-menu", values: { used: option.dataset.macro }, target: "#reply-notice" });
    }
  }
  // Which of the two buttons is the one at hand. Both stay, and neither is pressed.
  function leading(keep) {
    var send = document.getElementById("approve"), open = document.getElementById("approve-open");
    if (!send || !open) return;
    send.classList.toggle("button-primary", !keep);
    open.classList.toggle("button-primary", keep);
    send.dataset.key = keep ? "Ctrl+Shift+Enter" : "Ctrl+Enter";
    open.dataset.key = keep ? "Ctrl+Enter" : "Ctrl+Shift+Enter";
  }
  function settle() { if (menu() && menu().dataset.after === "keep") leading(true); }
  document.addEventListener("htmx:oobAfterSwap", function (event) { if (event.detail.target && event.detail.target.id === "reply") settle(); });
  settle();
})();
