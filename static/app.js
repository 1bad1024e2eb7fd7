// The desk's own behaviour: theme, toasts, menus. Live updates are in live.js, keys in keys.js. No eval, no inline handlers.
(function () {
  "use strict";
  var root = document.documentElement;

  // ── Theme ──
  function currentTheme() {
    return root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  }
  function switchTheme() {
    var next = currentTheme() === "dark" ? "light" : "dark";
    root.dataset.theme = next;
    try { localStorage.setItem("theme", next); } catch (refused) { /* it lasts for this page */ }
  }

  // ── Toasts ──
  function toast(text, level) {
    var place = document.getElementById("toasts");
    if (!place) return;
    var box = document.createElement("div");
    box.className = "toast toast-" + (level || "info");
    var words = document.createElement("span");
    words.textContent = text;
    var close = document.createElement("button");
    close.type = "button"; close.className = "close"; close.dataset.dismiss = ".toast";
    close.setAttribute("aria-label", "Dismiss"); close.textContent = "×";
    box.append(words, close);
    place.append(box);
    fade(box);
  }
  function fade(box) {
    var all = document.querySelectorAll("#toasts .toast:not(.toast-error)");
    for (var i = 0; i < all.length - 2; i++) all[i].remove(); // two are read, five are a wall
    if (box.classList.contains("toast-error")) return; // an error stays until it is read
    setTimeout(function () { if (!box.matches(":hover, :focus-within")) box.remove(); }, 7000);
  }
  document.querySelectorAll(".toast").forEach(fade);

  // ── htmx: what went wrong is said, with the number to ask with ──
  // htmx calls a refusal that is shown in its place (409, 422) a success: then what was typed would count as stored.
  ["htmx:afterRequest", "htmx:afterSettle"].forEach(function (name) {
    document.addEventListener(name, function (event) {
      if (event.detail.xhr && event.detail.xhr.status >= 400) event.detail.successful = false;
    }, true);
  });
  function autosave(event) { return event.detail.elt.id === "reply-text"; }  // told beside the editor (autosave.js)
  document.addEventListener("htmx:responseError", function (event) {
    if (autosave(event)) return;
    if (event.detail.elt.id === "ticket" && event.detail.xhr.status === 404) {
      toast("This ticket is with another team now. What you typed is still here, but it cannot be sent.", "warning");
      return;
    }
    var xhr = event.detail.xhr, id = xhr.getResponseHeader("X-Correlation-ID") || "";
    toast("That did not work (" + xhr.status + "). What you typed is still here. Try again; if it stays, give " + id + ".", "error");
  });
  document.addEventListener("htmx:sendError", function (event) {
    if (autosave(event)) return;
    toast("The desk cannot be reached. What you typed is still here; try again when the connection is back.", "error");
  });
  document.addEventListener("toast", function (event) { toast(event.detail.text, event.detail.level); });

  // ── Clicks ──
  document.addEventListener("click", function (event) {
    var hit = event.target.closest("[data-theme-switch], [data-dismiss], [data-copy], [data-toggle]");
    document.querySelectorAll("details.menu[open]").forEach(function (menu) {
      if (!menu.contains(event.target)) menu.open = false;
    });
    document.querySelectorAll("details.why[open]").forEach(function (why) {
      if (!why.contains(event.target)) why.open = false;
    });
    if (!hit) return;
    if ("themeSwitch" in hit.dataset) switchTheme();
    if (hit.dataset.dismiss) hit.closest(hit.dataset.dismiss).remove();
    if (hit.dataset.copy) {
      navigator.clipboard.writeText(document.querySelector(hit.dataset.copy).textContent.trim())
        .then(function () { toast("Copied."); }, function () { toast("The browser did not allow copying.", "warning"); });
    }
    if (hit.dataset.toggle) {
      var sheet = document.querySelector(hit.dataset.toggle);
      sheet.hidden = !sheet.hidden;
      hit.setAttribute("aria-expanded", String(!sheet.hidden));
    }
  });

  // ── Escape closes what is open ── (all other keys are in keys.js)
  function typing(target) { return target.closest("input, textarea, select, [contenteditable]"); }
  document.addEventListener("keydown", function (event) {
    if (event.key !== "Escape") return;
    document.querySelectorAll("details.menu[open], details.why[open]").forEach(function (menu) {
      menu.open = false; menu.querySelector("summary").focus();
    });
  });

  // ── Selects that apply at once ──
  document.addEventListener("change", function (event) {
    if ("submit" in event.target.dataset) event.target.form.requestSubmit();
  });
  document.addEventListener("submit", function (event) {
    if (event.target.id !== "filters") return;
    event.target.querySelectorAll("select").forEach(function (select) { if (!select.value) select.disabled = true; });
  });

  // ── A form on its way: leaving is meant (autosave.js asks otherwise) ──
  document.addEventListener("submit", function () { window.desk.sending = true; });
  document.addEventListener("htmx:afterRequest", function () { window.desk.sending = false; });

  // ── What was open stays open when its piece comes anew ──
  document.addEventListener("htmx:oobBeforeSwap", function (event) {
    var old = event.detail.target, fresh = event.detail.fragment;
    if (!old || !fresh) return;
    old.querySelectorAll("details[open][id]").forEach(function (open) {
      var same = fresh.querySelector("#" + open.id);
      if (same && open.contains(document.activeElement) || same && !open.classList.contains("menu")) same.open = true;
    });
  });
  document.addEventListener("htmx:oobAfterSwap", function (event) {
    if (event.detail.target && event.detail.target.id === "toasts") event.detail.target.querySelectorAll(".toast").forEach(fade);
  });

  // ── Times: relative, the exact one on hover ──
  function ago(seconds, word) {
    var future = seconds < 0, s = Math.abs(seconds);
    var text = s < 60 ? (future ? "1m" : "now") : s < 3600 ? Math.floor(s / 60) + "m" : s < 86400 ? Math.floor(s / 3600) + "h" : s < 63072000 ? Math.floor(s / 86400) + "d" : Math.floor(s / 31536000) + "y";
    return word && text !== "now" ? text + " " + word : text;
  }
  function refreshTimes() {
    document.querySelectorAll("time[data-age]").forEach(function (time) {
      time.textContent = ago((Date.now() - Date.parse(time.dateTime)) / 1000, time.dataset.age);
    });
  }
  setInterval(refreshTimes, 30000);
  window.desk = { toast: toast, typing: typing };
})();
