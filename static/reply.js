// The reply editor: what leaves in a moment counts down; the difference to what was suggested; answers put in.
(function () {
  "use strict";
  function tick() {
    document.querySelectorAll(".leaving").forEach(function (notice) {
      var left = Math.ceil((Number(notice.dataset.until) - Date.now()) / 1000);
      var words = notice.querySelector(".leaving-in");
      if (words) words.textContent = left > 0 ? "in " + left + " s" : "now";
      if (left <= 0) notice.querySelector("button").disabled = true;
    });
  }
  setInterval(tick, 250);

  // The difference is shown and hidden by the same key.
  document.addEventListener("htmx:beforeRequest", function (event) {
    var place = document.getElementById("difference");
    if (event.detail.elt.id !== "show-difference" || !place || place.hidden) return;
    event.preventDefault();
    place.hidden = true;
    place.replaceChildren();
  });

  document.addEventListener("click", function (event) {
    var hit = event.target.closest && event.target.closest("[data-insert]");
    if (!hit) return;
    var editor = document.getElementById("reply-text"), source = document.getElementById(hit.dataset.insert);
    if (!editor || !source) return;
    event.preventDefault();
    put(editor, source.textContent);
    var menu = hit.closest("details");
    if (menu) menu.open = false;
  });
  // At the cursor, as typing would: autosave hears of it, and Ctrl+Z takes it back.
  function put(editor, text) {
    editor.focus();
    if (!document.execCommand("insertText", false, text)) {
      editor.setRangeText(text, editor.selectionStart, editor.selectionEnd, "end");
      editor.dispatchEvent(new InputEvent("input", { bubbles: true }));
    }
  }
  window.desk.put = put;
})();
