// The draft is stored while it is typed. Where that fails the page says so and why, the text stays, and what may pass
// by itself is tried again: after a while, longer each time, and as soon as the connection is back.
(function () {
  "use strict";
  var FIRST = 2000, SLOWEST = 60000;  // ms
  var REFUSED = {
    403: "This page was open too long. Copy your text and reload the page.",
    404: "This ticket is with another team now, or is gone. Copy your text if you need it.",
    413: "There is too much text for a reply. Shorten it."
  };
  var failures = 0, timer = null, failed = null;  // `failed` is the editor whose text waits for another try

  function place() { return document.getElementById("draft-saved"); }
  function say(words) {
    var box = document.createElement("span");
    box.className = "notice notice-warn unsaved";
    box.textContent = "Not saved. " + words;
    if (place() && place().textContent !== box.textContent) place().replaceChildren(box);
  }
  function settle() { clearTimeout(timer); failures = 0; failed = null; }
  function again() {
    clearTimeout(timer);
    if (failed && document.contains(failed)) htmx.trigger(failed, "again"); else settle();
  }
  function why(status) {
    if (status === 0) return "The desk cannot be reached. Your text is kept here and is saved when the connection is back.";
    if (status === 503) return "The desk has too much to do just now. Your text is kept here and is saved in a moment.";
    return "Something broke on the desk (" + status + "). Your text is kept here, and saving is tried again.";
  }
  function lost(editor, xhr) {
    var wait = Math.min(SLOWEST, FIRST * Math.pow(2, failures++)) * (0.75 + Math.random() / 2);
    var asked = xhr.status ? Number(xhr.getResponseHeader("Retry-After")) * 1000 : 0;
    failed = editor;
    say(why(xhr.status));
    clearTimeout(timer);
    timer = setTimeout(again, Math.max(wait, asked || 0));
  }

  document.addEventListener("htmx:beforeRequest", function (event) {
    if (event.detail.elt.id !== "reply-text") return;
    clearTimeout(timer);
    if (place() && !failed) place().textContent = "Saving";  // a further try says nothing until it has an end
  });
  // A stored text is the editor's new starting point. What was refused in words (409, 422) stands in its place by now.
  document.addEventListener("htmx:afterRequest", function (event) {
    var editor = event.detail.elt, xhr = event.detail.xhr;
    if (editor.id !== "reply-text") return;
    if (event.detail.successful) {
      editor.defaultValue = event.detail.requestConfig.parameters.text || editor.value;
      settle();
    } else if (xhr.status === 0 || xhr.status >= 500) {
      lost(editor, xhr);
    } else if (xhr.status >= 400) {
      settle();
      if (xhr.status !== 409 && xhr.status !== 422) say(REFUSED[xhr.status] || "The desk refused it (" + xhr.status + "). Your text is kept here.");
    }
  });
  window.addEventListener("online", again);
  document.addEventListener("desk:open", again);
  window.addEventListener("beforeunload", function (event) {
    var editor = document.getElementById("reply-text");
    if (editor && editor.value.trim() && editor.value !== editor.defaultValue && !window.desk.sending) event.preventDefault();
  });
})();
