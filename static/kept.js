// What was typed and not yet stored survives a reload: kept in this browser alone, offered again, and cleared once it
// is sent or stored, at sign-out, after two weeks, and when somebody else signs in.
(function () {
  "use strict";
  var PREFIX = "kept:", OLDEST = 14 * 86400 * 1000;
  var person = document.body.dataset.person;
  var FIELDS = { "reply-text": "kept-reply", "comment-text": "kept-comment" };
  var timers = {}, gone = false;
  if (!person) return;

  function each(act) {
    try { Object.keys(localStorage).forEach(function (key) { if (key.startsWith(PREFIX)) act(key); }); } catch (refused) { /* no store, nothing kept */ }
  }
  function load(key) { try { return JSON.parse(localStorage.getItem(key)); } catch (broken) { return null; } }
  function drop(key) { try { localStorage.removeItem(key); } catch (refused) { /* nothing was kept */ } }
  each(function (key) {
    var held = load(key);
    if (!key.startsWith(PREFIX + person + ":") || !held || Date.now() - held.at > OLDEST) drop(key);
  });
  document.addEventListener("submit", function (event) {
    if (!event.target.querySelector("#sign-out")) return;
    gone = true;  // and nothing more is kept while the page is left
    each(drop);
  });
  if (!document.getElementById("ticket") && !document.getElementById("pane")) return;

  function keyOf(id, number) { return PREFIX + person + ":" + (number || document.getElementById("ticket").dataset.ticket) + ":" + id; }
  function keep(field) {
    clearTimeout(timers[field.id]);
    if (gone) return;
    if (!field.value.trim() || field.value === field.defaultValue) { drop(keyOf(field.id)); return; }
    try { localStorage.setItem(keyOf(field.id), JSON.stringify({ text: field.value, at: Date.now() })); } catch (full) { /* it lives in the page */ }
  }
  document.addEventListener("input", function (event) {
    var field = event.target;
    if (!FIELDS[field.id]) return;
    clearTimeout(timers[field.id]);
    timers[field.id] = setTimeout(function () { keep(field); }, 150);
  });
  window.addEventListener("pagehide", flush);
  document.addEventListener("visibilitychange", function () { if (document.hidden) flush(); });
  function flush() {
    Object.keys(FIELDS).forEach(function (id) {
      var field = document.getElementById(id);
      if (field && timers[id] && field.value !== field.defaultValue) keep(field);
    });
  }
  // autosave.js makes a stored draft the field's starting point (defaultValue); what is typed since is still to be kept.
  document.addEventListener("htmx:afterRequest", function (event) {
    // Whoever asked may be gone by now: an approval takes the editor away, and htmx then names what stood around it.
    var asked = event.detail.requestConfig, elt = asked.elt, field = document.getElementById("reply-text");
    var number = (/\/tickets\/(\d+)\//.exec(asked.path) || [])[1];
    if (!event.detail.successful) return;
    if (elt.id === "reply-text" && field && document.contains(elt)) keep(field);
    if (elt.id === "reply-form" && !document.contains(elt)) forget("reply-text", number);  // else it asks first, and stays
    if (elt.matches(".comment-form")) forget("comment-text", number);
  });
  function forget(id, number) { clearTimeout(timers[id]); delete timers[id]; drop(keyOf(id, number)); }

  // ── Offered after a reload, and where the ticket is opened again beside the queue ──
  function offerAll() {
    if (!document.getElementById("ticket")) return;
    Object.keys(FIELDS).forEach(function (id) {
      var held = load(keyOf(id)), field = document.getElementById(id), place = document.getElementById(FIELDS[id]);
      if (!held || !place) return;
      if (field && field.value === held.text) { drop(keyOf(id)); return; }
      place.replaceChildren(offer(id, held, field));
    });
  }
  offerAll();
  document.addEventListener("desk:leave", function () { flush(); timers = {}; });
  document.addEventListener("desk:ticket", offerAll);
  function offer(id, held, field) {
    var box = document.createElement("div"), words = document.createElement("span"), at = new Date(held.at);
    var day = at.toDateString() === new Date().toDateString() ? "" : at.toLocaleDateString("en-GB", { day: "numeric", month: "short" }) + ", ";
    box.className = "notice notice-accent kept";
    box.setAttribute("role", "status");
    words.className = "grow";
    words.textContent = "Your unsaved text of " + day + at.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" }) + " is here.";
    box.append(words, field ? button("Restore", id + "-restore", function () {
      var area = document.getElementById(id);  // the editor may have come anew since
      if (!area) { box.append(shown(held)); return; }
      area.value = held.text;
      box.remove();
      area.dispatchEvent(new Event("input", { bubbles: true }));
      area.focus();
    }) : shown(held), button("Discard", id + "-discard", function () { drop(keyOf(id)); box.remove(); }));
    return box;
  }
  // The ticket takes no reply any more: then the text can still be read and copied.
  function shown(held) {
    var area = document.createElement("textarea");
    area.readOnly = true;
    area.value = held.text;
    area.setAttribute("aria-label", "Your unsaved text");
    return area;
  }
  function button(word, id, act) {
    var one = document.createElement("button");
    one.type = "button"; one.className = "button button-small"; one.id = id; one.textContent = word;
    one.addEventListener("click", act);
    return one;
  }
})();
