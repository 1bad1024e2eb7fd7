// A ticket beside the queue: chosen in the list, shown in the pane, the list where it was. Narrow windows open its page.
(function () {
  "use strict";
  var STEP = 160;  // ms: who holds j or k down opens the last ticket only
  var pane = document.getElementById("pane"), split = document.getElementById("split"), wide = matchMedia("(min-width: 1100px)");
  if (!pane) return;
  var wanted = pane.dataset.open, order = numbers(), stepping = null, settled = null;

  function numbers() { return Array.from(document.querySelectorAll("#rows [data-number]")).map(function (row) { return row.dataset.number; }); }
  function current() { var ticket = document.getElementById("ticket"); return ticket ? ticket.dataset.ticket : ""; }
  function mark() {
    document.querySelectorAll("#rows .row").forEach(function (row) {
      var here = row.dataset.number === wanted, link = row.querySelector(".row-link");
      row.classList.toggle("row-open", here);
      if (link && here) link.setAttribute("aria-current", "true"); else if (link) link.removeAttribute("aria-current");
    });
  }

  // ── Opening ──
  // What is typed into the reply is stored before its editor goes; where it cannot be, the ticket stays.
  function store() {
    var editor = document.getElementById("reply-text");
    document.dispatchEvent(new CustomEvent("desk:leave"));
    if (!editor || editor.value === editor.defaultValue) return Promise.resolve(true);
    return new Promise(function (resolve) {
      document.addEventListener("htmx:afterRequest", function done(event) {
        if (event.detail.elt !== editor) return;
        document.removeEventListener("htmx:afterRequest", done);
        resolve(event.detail.successful);
      });
      htmx.trigger(editor, "leave");
    });
  }
  function open(number, how) {
    if (!number || number === current()) { wanted = number || wanted; mark(); if (how === "push") pane.focus({ preventScroll: true }); return; }
    wanted = number;
    mark();
    store().then(function (stored) {
      if (number !== wanted) return;
      if (!stored) { wanted = current(); mark(); window.desk.toast("Your reply could not be kept, so this ticket stays open.", "warning"); return; }
      htmx.ajax("GET", "/tickets/" + number + "/", { source: pane, target: pane, swap: "innerHTML" }).then(function () { arrived(number, how); }, function () {});
    });
  }
  function arrived(number, how) {
    if (current() !== number) return;
    var before = order;
    order = numbers();
    if (order.indexOf(number) < 0) order = before;
    pane.scrollTop = 0;
    var url = new URL(location.href);
    url.searchParams.set("open", number);
    if (how !== "back") history[how === "push" ? "pushState" : "replaceState"](null, "", url);
    if (how === "push") pane.focus({ preventScroll: true });
    mark();
    document.dispatchEvent(new CustomEvent("desk:ticket"));
  }
  document.addEventListener("htmx:beforeSwap", function (event) {
    if (event.detail.target === pane && event.detail.requestConfig.path !== "/tickets/" + wanted + "/") event.detail.shouldSwap = false;
  });

  // ── By mouse, by keys, by the browser's own back ──
  document.addEventListener("click", function (event) {
    if (!wide.matches || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || event.button) return;
    var link = event.target.closest && event.target.closest("#rows .row-link, #next-ticket");
    if (!link) return;
    event.preventDefault();
    open(link.id === "next-ticket" ? next() || /(\d+)\/$/.exec(link.pathname)[1] : link.closest(".row").dataset.number, "push");
  });
  document.addEventListener("desk:step", function (event) {
    if (!wide.matches) return;
    clearTimeout(stepping);
    stepping = setTimeout(function () { open(event.detail, "replace"); }, STEP);
  });
  window.addEventListener("popstate", function () {
    var number = new URL(location.href).searchParams.get("open");
    if (number) open(number, "back"); else location.reload();
  });
  function narrow() { if (!wide.matches && current()) location.replace("/tickets/" + current() + "/"); }
  wide.addEventListener("change", narrow);

  // ── After an answer the next one of the list ──
  function next() {
    var here = numbers(), after = order.slice(order.indexOf(wanted) + 1).concat(order.slice(0, Math.max(0, order.indexOf(wanted))).reverse());
    return after.find(function (number) { return number !== wanted && here.indexOf(number) >= 0; });
  }
  document.addEventListener("htmx:afterSettle", function (event) {
    var elt = event.detail.requestConfig && event.detail.requestConfig.elt;
    if (!elt || !event.detail.successful || event.detail.xhr === settled || !("advance" in split.dataset) || !wide.matches) return;
    var status = document.getElementById("ticket-status"), ended = status && /resolved|closed/.test(status.dataset.status);
    if (elt.id !== "reply-form" && !(elt.id === "status-form" && ended)) return;
    if (event.detail.requestConfig.path.indexOf("/" + current() + "/") < 0) return;
    settled = event.detail.xhr;  // every piece of its answer settles
    var number = next();
    if (!number) return;
    carry();
    open(number, "replace");
  });
  // The undo of the send goes along, for as long as there is one.
  function carry() {
    var leaving = document.getElementById("leaving"), place = document.getElementById("toasts");
    if (!leaving || !place) return;
    var box = document.createElement("div"), form = leaving.cloneNode(true), number = current();
    form.removeAttribute("id"); form.querySelector("button").removeAttribute("id");
    form.className = "line leaving"; form.setAttribute("hx-swap", "none"); form.removeAttribute("hx-target");
    form.querySelector(".grow").prepend("#" + number + ". ");
    box.className = "toast toast-success"; box.append(form);
    place.append(box);
    htmx.process(box);
    box.addEventListener("htmx:afterRequest", function (event) { if (event.detail.successful) { box.remove(); open(number, "replace"); } });
    setTimeout(function () { box.remove(); }, Math.max(0, Number(form.dataset.until) - Date.now()));
  }

  new MutationObserver(mark).observe(document.getElementById("split-list"), { childList: true, subtree: true });
  mark();
  narrow();
})();
