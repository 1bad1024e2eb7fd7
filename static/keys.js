// Everything by keyboard. An element says which key presses it: data-key="a", "Shift+1", "Ctrl+Enter" or "g q".
// What has a key, and every place of the desk, is in the command palette (Ctrl+K) as well.
(function () {
  "use strict";
  var SEQUENCE = 1200; // ms between the two keys of "g q"

  var off = false;
  try { off = localStorage.getItem("keys") === "off"; } catch (error) { /* as they come */ }
  var choice = document.getElementById("keys-on");
  if (choice) {
    choice.checked = !off;
    choice.addEventListener("change", function () {
      off = !choice.checked;
      try { localStorage.setItem("keys", off ? "off" : "on"); } catch (error) { /* it lasts for this page */ }
    });
  }
  function typing(target) { return target.closest && target.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]"); }
  function shown(element) { return !element.disabled && element.offsetParent !== null && !element.closest("[inert]"); }
  function open() { return document.querySelector("dialog[open]"); }

  // ── Pressing what has a key ──
  function holder(key) {
    return Array.from(document.querySelectorAll("[data-key]")).find(function (element) { return element.dataset.key === key && (shown(element) || element.tagName === "A"); });
  }
  function press(element) {
    if (element.matches("summary")) {
      var menu = element.parentElement;
      menu.open = !menu.open;
      var first = menu.open && menu.querySelector("input:not([type=hidden]), textarea, select, button, a");
      (first || element).focus();
    } else if (element.matches("input:not([type=checkbox]), textarea, select")) {
      element.focus();
      element.scrollIntoView({ block: "nearest" });
      if (element.matches("select") && element.showPicker) { try { element.showPicker(); } catch (error) { /* the browser wants a click for it */ } }
      else if (element.select && element.matches("input")) element.select();
    } else element.click();
    return true;
  }
  function name(event) {
    var key = event.key === " " ? "Space" : event.key;
    if (event.shiftKey && /^Digit\d$/.test(event.code)) return "Shift+" + event.code.slice(5);
    if (event.shiftKey && /^[A-Z]$/.test(key)) return "Shift+" + key.toLowerCase();
    return (event.ctrlKey || event.metaKey ? "Ctrl+" : "") + (event.ctrlKey && event.shiftKey ? "Shift+" : "") + key;
  }

  var before = "", since = 0;
  document.addEventListener("keydown", function (event) {
    if (event.defaultPrevented || event.altKey || event.isComposing) return;
    var key = name(event);
    if (key === "Ctrl+k") { event.preventDefault(); palette(); return; }
    if (open()) return;
    var modified = event.ctrlKey || event.metaKey;
    if (modified && event.key === "Enter") { if (send(event.target, event.shiftKey)) event.preventDefault(); return; }
    if (modified) return;
    if (event.key === "Escape" && typing(event.target) && event.target.closest("main")) { event.target.blur(); return; }
    if (off || typing(event.target)) return;
    var pair = before + " " + key, quick = Date.now() - since < SEQUENCE;
    before = key; since = Date.now();
    var element = (quick && holder(pair)) || holder(key);
    if (element) { before = ""; event.preventDefault(); press(element); return; }
    if (key === "?") { event.preventDefault(); sheet(); }
    else if (key === "/") { var search = document.getElementById("search"); if (search) { event.preventDefault(); search.focus(); search.select(); } }
    else if (key === "j" || key === "k") step(key === "j" ? 1 : -1);
  });
  // Ctrl+Enter sends what is being written: a comment its comment, else the reply. With Shift the ticket stays open.
  function send(target, stay) {
    var form = target.closest("form");
    if (form && form.id !== "reply-form" && target.matches("textarea")) { form.requestSubmit(); return true; }
    var button = holder(stay ? "Ctrl+Shift+Enter" : "Ctrl+Enter");
    if (button) press(button);
    return Boolean(button);
  }
  function sheet() { var list = document.getElementById("keys"); if (list && !list.open) list.showModal(); }

  // ── Rows of the queue, and from ticket to ticket in the order of the queue one came from ──
  function links() { return Array.from(document.querySelectorAll("#rows .row-link")); }
  function step(by) {
    var rows = links();
    if (!rows.length) { beside(by); return; }
    var at = rows.findIndex(function (link) { return link.closest(".row").contains(document.activeElement); });
    if (at < 0) at = rows.findIndex(function (link) { return link.closest(".row").classList.contains("row-open"); });
    var next = rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.max(0, Math.min(rows.length - 1, at + by))];
    next.focus();
    next.closest(".row").scrollIntoView({ block: "nearest" });
    document.dispatchEvent(new CustomEvent("desk:step", { detail: next.closest(".row").dataset.number }));
  }
  function beside(by) {
    var ticket = document.getElementById("ticket");
    if (!ticket) return;
    var order = [], next = document.getElementById("next-ticket");
    try { order = JSON.parse(sessionStorage.getItem("queue") || "[]"); } catch (error) { /* nothing is remembered */ }
    var at = order.indexOf(ticket.dataset.ticket), number = at < 0 ? undefined : order[at + by];
    if (number) location.assign("/tickets/" + number + "/");
    else if (by > 0 && next) next.click();
    else window.desk.toast(by > 0 ? "This is the last ticket of the queue you came from." : "This is the first ticket of the queue you came from.");
  }
  document.addEventListener("click", function (event) {
    var link = event.target.closest && event.target.closest("#rows .row-link");
    if (!link) return;
    var numbers = Array.from(document.querySelectorAll("#rows [data-number]")).map(function (row) { return row.dataset.number; });
    try { sessionStorage.setItem("queue", JSON.stringify(numbers)); } catch (error) { /* full or forbidden: j and k know no order then */ }
  }, true);
  // After a decision the next ticket is one Enter away.
  document.addEventListener("htmx:oobAfterSwap", function () {
    var next = document.getElementById("next-ticket"), active = document.activeElement;
    if (next && (!active || active === document.body)) next.focus({ preventScroll: true });
  });

  // ── The command palette ──
  var found = [], at = 0;
  function words(element) {
    if (element.dataset.command) return element.dataset.command;
    if (element.getAttribute("aria-label")) return element.getAttribute("aria-label");
    var label = element.id && element.matches("input, select, textarea") ? document.querySelector('label[for="' + element.id + '"]') : null;
    var copy = (label || element).cloneNode(true);
    copy.querySelectorAll("kbd, svg, .count, .sr-only").forEach(function (part) { part.remove(); });
    return copy.textContent.replace(/\s+/g, " ").trim();
  }
  function commands() {
    var here = Array.from(document.querySelectorAll("main [data-key], main [data-command]")).filter(shown);
    var places = Array.from(document.querySelectorAll(".rail-link, .menu-item, [data-place]"));
    var seen = {};
    return here.concat(places).map(function (element) {
      return { text: words(element), key: element.dataset.key || "", element: element, place: here.indexOf(element) < 0 };
    }).filter(function (one) { var fresh = one.text && !seen[one.text]; seen[one.text] = true; return fresh; });
  }
  function fits(text, typed) {
    var place = 0, lower = text.toLowerCase();
    return typed.toLowerCase().split(/\s+/).every(function (part) { place = lower.indexOf(part); return place >= 0; });
  }
  function palette() {
    var dialog = document.getElementById("palette");
    if (!dialog || dialog.open) return;
    if (open()) open().close();
    var field = document.getElementById("palette-field");
    field.value = "";
    dialog.showModal();
    list("");
    field.focus();
  }
  function list(typed) {
    var all = commands().filter(function (one) { return fits(one.text, typed); }).slice(0, 40);
    var number = /^#?(\d{1,17})$/.exec(typed.trim());
    if (number) all.unshift({ text: "Open ticket #" + number[1], address: "/tickets/" + number[1] + "/", key: "" });
    if (typed.trim() && !number) all.push({ text: "Search tickets for “" + typed.trim() + "”", address: "/tickets/?q=" + encodeURIComponent(typed.trim()), key: "" });
    found = all; at = 0;
    var box = document.getElementById("palette-list");
    box.replaceChildren.apply(box, all.map(function (one, index) {
      var row = document.createElement("li");
      row.id = "palette-" + index; row.setAttribute("role", "option"); row.className = "palette-row";
      var text = document.createElement("span");
      text.textContent = one.place && !one.element.dataset.command && !/^(Go|Open)/.test(one.text) ? "Go to " + one.text : one.text;
      row.append(text);
      if (one.key) { var key = document.createElement("kbd"); key.textContent = one.key.replace(/\+/g, " + ").replace(/Shift \+ [a-z]$/, function (keys) { return keys.slice(0, -1) + keys.slice(-1).toUpperCase(); }); row.append(key); }
      row.addEventListener("click", function () { run(index); });
      return row;
    }));
    mark();
  }
  function mark() {
    var rows = document.querySelectorAll("#palette-list .palette-row");
    rows.forEach(function (row, index) { row.setAttribute("aria-selected", String(index === at)); });
    var field = document.getElementById("palette-field");
    if (rows[at]) { field.setAttribute("aria-activedescendant", rows[at].id); rows[at].scrollIntoView({ block: "nearest" }); }
    else field.removeAttribute("aria-activedescendant");
  }
  function run(index) {
    var one = found[index];
    document.getElementById("palette").close();
    if (!one) return;
    if (one.address) location.assign(one.address); else press(one.element);
  }
  var field = document.getElementById("palette-field");
  if (field) {
    field.addEventListener("input", function () { list(field.value); });
    field.addEventListener("keydown", function (event) {
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        at = (at + (event.key === "ArrowDown" ? 1 : -1) + found.length) % Math.max(1, found.length);
        mark();
      } else if (event.key === "Enter") { event.preventDefault(); run(at); }
    });
  }
  document.addEventListener("click", function (event) {
    if (event.target.closest("[data-show-keys]")) sheet();
    else if (event.target.closest("[data-show-palette]")) palette();
    else if (event.target.id === "palette") event.target.close(); // the backdrop
  });
})();
