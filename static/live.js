// Live updates: one socket a page. The server pushes rows and counts; after every gap the page asks what it missed.
// A frozen server is noticed by its missing heartbeat; without a socket the page asks every 15 seconds.
(function () {
  "use strict";
  var BEAT_LOST = 25000, POLL = 15000, SLOWEST = 15000, MOST_ROWS = 150;
  var address = document.body.dataset.live;
  if (!address) return;

  var socket = null, heard = 0, attempts = 0, timer = null, leaving = false, lost = false;
  var queue = document.querySelector("[data-queue]"), ticket = document.getElementById("ticket");
  var gap = false, waiting = [];  // new rows that have not been let in yet: [number, html]

  // ── What the person sees of it ──
  var words = { live: "Live", reconnecting: "Reconnecting", polling: "Checking every 15 s", offline: "Offline" };
  function show(state) {
    var place = document.getElementById("connection");
    if (!place || place.dataset.state === state) return;
    place.dataset.state = state;
    document.getElementById("connection-word").textContent = words[state];
    if (state !== "live") { desks(0); tellPage("lost"); }
  }
  function desks(count) {
    document.getElementById("connection-desks").textContent = count > 0 ? "· " + count + (count === 1 ? " desk" : " desks") : "";
  }
  function text(id, value) {
    var place = document.getElementById(id);
    if (place && value !== undefined) place.textContent = value;
  }

  // ── Socket ──
  function connect() {
    clearTimeout(timer);
    drop();
    var url = (location.protocol === "https:" ? "wss://" : "ws://") + location.host + address;
    url += "?" + [ticket && "ticket=" + ticket.dataset.ticket, queue && "queue=1"].filter(Boolean).join("&");
    var mine = socket = new WebSocket(url);
    heard = Date.now();
    mine.onopen = function () { attempts = 0; heard = Date.now(); show("live"); catchUp(); tellPage("open"); if (lost) tellPage("again"); lost = false; };
    mine.onmessage = function (event) { heard = Date.now(); receive(JSON.parse(event.data)); };
    mine.onclose = function (event) {
      if (mine !== socket) return;
      lost = true;
      // The session ended: the sign-in is shown at once, and no socket is asked for again; or the role is another.
      if (event.code === 4401) { drop(); probe().then(retry); } else retry();
    };
  }
  // What else a page shows of the desk has files of its own: they listen to "desk:…", and speak by window.desk.tell.
  function tellPage(what, detail) { document.dispatchEvent(new CustomEvent("desk:" + what, { detail: detail })); }
  window.desk.tell = function (message) { if (isLive()) socket.send(JSON.stringify(message)); return isLive(); };
  function drop() {
    if (!socket) return;
    var old = socket;
    socket = null;
    old.onopen = old.onmessage = old.onclose = null;
    old.close();
  }
  function retry() {
    drop();
    if (leaving) return;
    if (document.getElementById("connection").dataset.state !== "polling") show(navigator.onLine ? "reconnecting" : "offline");
    var delay = Math.min(SLOWEST, 500 * Math.pow(2, attempts++)) * (0.5 + Math.random() / 2);
    clearTimeout(timer);
    timer = setTimeout(connect, delay);
  }
  function isLive() { return socket && socket.readyState === WebSocket.OPEN; }
  setInterval(function () { if (socket && Date.now() - heard > BEAT_LOST) { lost = true; retry(); } }, 5000);
  setInterval(function () { if (!isLive() && !document.hidden) catchUp(); }, POLL);
  document.addEventListener("visibilitychange", function () {
    if (document.hidden) return;
    if (isLive()) catchUp(); else { attempts = 0; connect(); }
  });
  window.addEventListener("online", function () { attempts = 0; connect(); });
  window.addEventListener("offline", function () { show("offline"); });
  // Who signs out here is on the way already; to hear of it would send the page to be signed in for, again.
  document.addEventListener("submit", function (event) { if (event.target.querySelector("#sign-out")) { leaving = true; drop(); } });
  window.addEventListener("pagehide", function () { leaving = true; drop(); });
  window.addEventListener("pageshow", function (event) { if (event.persisted) { leaving = false; connect(); } });

  // Between press and release nothing moves: a click that begins on one element and ends on its new picture is lost.
  var pressed = false;
  document.addEventListener("pointerdown", function () { pressed = true; }, true);
  ["pointerup", "pointercancel"].forEach(function (name) {
    document.addEventListener(name, function () { setTimeout(function () { pressed = false; }, 0); }, true);
  });
  // A scrollbar takes the release for itself, and so may another window.
  document.addEventListener("pointermove", function (event) { if (!event.buttons) pressed = false; }, { passive: true, capture: true });
  window.addEventListener("blur", function () { pressed = false; });
  function released(value) {
    return pressed ? new Promise(function (done) { setTimeout(done, 50, value); }).then(released) : value;
  }

  function receive(message) {
    if (pressed) { setTimeout(receive, 50, message); return; }
    if (message.type === "beat") { desks(message.desks); return; }
    if (message.type === "catch-up") { soon(); return; }
    if (message.type === "ticket") { if (ticket && message.number === Number(ticket.dataset.ticket)) refreshTicket(); return; }
    if (message.type !== "tickets") { tellPage(message.type, message); return; }
    text("count-rail", message.counts.rail);
    if (!queue) return;
    if (asking) overheard = true;  // the answer under way may hold an older picture of a row that is not here yet
    Object.keys(message.rows).forEach(function (number) {
      if (!change(number, message.rows[number]) && belongs(made(message.rows[number]))) soon();
    });
    message.gone.forEach(leave);
    // Rows in another order, in groups or filtered are told apart by the server; and so is what is counted for one person.
    if (queue.dataset.filtered || queue.dataset.sort || queue.dataset.group) soon(); else if (queue.dataset.tab || !queue.dataset.personal) counts(message.counts); else { counts(message.counts); later(); }
  }

  // ── Catching up: by GET, at once, then at most once a second ──
  var asked = 0, pending = null, asking = false, overheard = false;
  function soon() {
    if (pending) return;
    pending = setTimeout(function () { pending = null; catchUp(); }, Math.max(20 + Math.random() * 80, asked + 1000 - Date.now()));
  }
  // What is counted for one person alone may be some seconds old.
  var OWN_COUNTS = 5000, later_ = null;
  function later() { if (!later_) later_ = setTimeout(function () { later_ = null; catchUp(); }, OWN_COUNTS); }
  function catchUp() {
    if (ticket) refreshTicket();
    if (!queue) { probe(); return; }
    if (asking) { soon(); return; }
    asking = true; asked = Date.now();
    var url = queue.dataset.changes + "&since=" + queue.dataset.now + "&shown=" + numbers().join();
    url += queue.dataset.paged ? "&mark=" + queue.dataset.mark : "&floor=" + floor();
    ask(url).then(released).then(function (answer) {
      queue.dataset.now = answer.now;
      Object.keys(answer.rows).forEach(function (number) { change(number, answer.rows[number]); });
      answer.gone.forEach(leave);
      counts(answer.counts);
      if (!gap) answer.fresh.forEach(function (pair) { if (numbers().indexOf(pair[0]) < 0) waiting.push(pair); });
      // More came than one answer holds, or than a page should: the page comes anew when they are let in.
      if (queue.dataset.group && waiting.length) gap = true;
      gap = gap || answer.fresh.length >= Number(queue.dataset.page) || waiting.length > MOST_ROWS;
      return letIn();
    }).catch(function () {}).then(answered);
  }
  function answered() {
    asking = false;
    if (overheard) { overheard = false; soon(); }
  }
  function probe() { return isLive() ? Promise.resolve() : ask("/tickets/changes/?since=" + Date.now()).catch(function () {}); }
  function ask(url) {
    return fetch(url, { headers: { Accept: "application/json" }, credentials: "same-origin" }).then(function (response) {
      if (response.redirected) { leaving = true; drop(); location.reload(); throw new Error("signed out"); }
      if (!response.ok) throw new Error(response.status);
      if (!isLive()) show("polling");
      return response.json();
    }).catch(function (error) { if (!isLive()) show("offline"); throw error; });
  }

  // ── The queue ──
  function rows() { return Array.from(document.querySelectorAll("#rows [data-number]")); }
  function numbers() {
    return rows().map(function (row) { return Number(row.dataset.number); }).concat(waiting.map(function (held) { return held[0]; }));
  }
  // A row's place is when its customer wrote, then its number; the newest stands first (tickets/models/order.py).
  function isBelow(place, other) {
    var a = place.split(".").map(Number), b = other.split(".").map(Number);
    for (var i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i] < b[i];
    return false;
  }
  // The place of the last row, where older ones follow on another page.
  function floor() { return document.getElementById("older") && rows().length ? rows().pop().dataset.place : ""; }
  function belongs(row) {
    var tab = queue.dataset.tab, status = row.dataset.status === "closed" ? "resolved" : row.dataset.status;
    return (!tab || tab === "snoozed" || status === tab) && (!floor() || !isBelow(row.dataset.place, floor()));
  }
  function made(html) {
    var box = document.createElement("template");
    box.innerHTML = html.trim();
    return box.content.firstElementChild;
  }
  function change(number, html) {
    var held = waiting.find(function (pair) { return pair[0] === Number(number); });
    if (held) { held[1] = html; return true; }
    var old = document.getElementById("ticket-" + number);
    if (!old || !old.closest("#rows")) return false;
    var fresh = made(html);
    if (Number(fresh.dataset.stamp) <= Number(old.dataset.stamp)) return true;  // an older picture arrived late
    if (fresh.dataset.status !== old.dataset.status) soon();  // it may have left this tab
    if (queue && queue.dataset.sort) fresh.dataset.place = old.dataset.place; // where one reads it, until the page comes anew
    var focused = old.contains(document.activeElement) && document.activeElement.id;
    old.replaceWith(fresh);
    htmx.process(fresh);
    fresh.classList.add("row-changed");
    if (focused && document.getElementById(focused)) document.getElementById(focused).focus({ preventScroll: true });
    return true;
  }
  function leave(number) {
    var row = document.getElementById("ticket-" + number);
    waiting = waiting.filter(function (held) { return held[0] !== number; });
    if (row && row.closest("#rows")) {
      var next = row.nextElementSibling || row.previousElementSibling;
      var link = row.contains(document.activeElement) && next.querySelector(".row-link");
      row.remove();
      if (link) link.focus({ preventScroll: true });
      if (!rows().length && !waiting.length) { renew(); return; }
    }
    news();
  }
  function counts(found) {
    Object.keys(found || {}).forEach(function (place) { text("count-" + place, found[place]); });
  }
  // Beside an open ticket the list scrolls by itself (beside.css).
  function scroller() { var list = document.getElementById("split-list"); return list && getComputedStyle(list).overflowY === "auto" ? list : null; }
  function scrolled() { var list = scroller(); return list ? list.scrollTop : window.scrollY; }
  function letIn(asked) {
    var idle = scrolled() < 60 && !pressed && !(document.activeElement && window.desk.typing(document.activeElement)) && !document.hidden;
    if (queue.dataset.paged || (!idle && !asked)) { news(); return; }
    if (gap) return renew();
    var empty = document.getElementById("queue-empty");
    if (waiting.length && empty) empty.remove();
    waiting.forEach(function (pair) {
      var row = made(pair[1]);
      row.classList.add("row-fresh");
      document.getElementById("rows").insertBefore(row, rows().find(function (other) { return isBelow(other.dataset.place, row.dataset.place); }) || null);
      htmx.process(row);
    });
    waiting = [];
    var surplus = rows().slice(MOST_ROWS);
    surplus.forEach(function (row) { row.remove(); });
    if (surplus.length) older();
    news();
  }
  // The newest page from the server: where a gap or nothing is left, it says best what there is.
  function renew() {
    if (queue.dataset.paged) { location.assign(newestPage()); return; }
    var focused = document.activeElement && document.activeElement.id;
    waiting = []; gap = false; asking = true;
    return htmx.ajax("GET", newestPage(), { target: "#queue", swap: "outerHTML" }).then(function () {
      queue = document.querySelector("[data-queue]");
      if (focused && document.getElementById(focused)) document.getElementById(focused).focus({ preventScroll: true });
    }, function () {}).then(answered);
  }
  function newestPage() { return location.pathname + "?" + queue.dataset.changes.split("?")[1]; }
  // Rows were taken off the end: the way to the older ones begins after the last that is left.
  function older() {
    var link = document.getElementById("older");
    if (!link) {
      var foot = document.createElement("div");
      foot.className = "queue-foot";
      link = document.createElement("a");
      link.className = "button"; link.id = "older"; link.rel = "next"; link.textContent = "More tickets";
      foot.append(link);
      queue.append(foot);
    }
    link.href = newestPage() + "&before=" + rows().pop().dataset.place;
  }
  function news() {
    var place = document.getElementById("news");
    place.hidden = waiting.length === 0;
    document.getElementById("news-words").textContent = waiting.length + (gap ? "+ new" : " new");
  }
  if (queue) {
    document.addEventListener("click", function (event) {
      if (!event.target.closest("#news-open")) return;
      if (queue.dataset.paged) { location.assign(newestPage()); return; }
      (scroller() || window).scrollTo(0, 0);
      letIn(true);
    });
    document.addEventListener("scroll", function () { if (waiting.length && scrolled() < 60) letIn(); }, { passive: true, capture: true });
    document.addEventListener("focusout", function () { if (waiting.length) setTimeout(letIn, 0); });
  }

  // ── A ticket: its pieces come anew, never the text that somebody types ──
  var refreshing = null;
  function editing() {
    var active = document.activeElement;
    return active && active.closest("#proposal, #facts, #ticket-head") && window.desk.typing(active);
  }
  function refreshTicket() {
    if (!ticket || refreshing) return;
    refreshing = setTimeout(function () {
      refreshing = null;
      if (busy() || pressed) { refreshTicket(); return; }
      if (editing()) { document.addEventListener("focusout", function () { setTimeout(refreshTicket, 200); }, { once: true }); return; }
      htmx.ajax("GET", ticket.dataset.pieces + (touched() ? "" : "?editor=1"), { source: "#ticket", target: "#ticket-notice", swap: "none" }).then(overtaken, function () {});
    }, 120);
  }
  // What a person does goes first: pieces that arrive during their request would take its place away under it, and
  // an editor that somebody has begun to type in since the pieces were asked for stays.
  var quiet = false;
  document.addEventListener("desk:ticket", function () {
    ticket = document.getElementById("ticket");
    clearTimeout(timer);
    timer = setTimeout(connect, 300);  // who leafs through the list is at none of them
  });
  document.addEventListener("htmx:beforeSwap", function (event) {
    if (isOfAnother(event.detail)) { event.detail.shouldSwap = false; return; }
    quiet = ticket !== null && event.detail.requestConfig.elt === ticket;
    if (quiet && (busy() || pressed || editing())) { event.detail.shouldSwap = false; refreshTicket(); }
  });
  document.addEventListener("htmx:oobBeforeSwap", function (event) {
    if (quiet && event.detail.target.id === "reply" && touched()) event.detail.shouldSwap = false;
    if (quiet && event.detail.target.id === "conversation" && document.querySelector("#conversation details.comment-edit[open]")) event.detail.shouldSwap = false;
    if (quiet && event.detail.shouldSwap) carryOver(event.detail.target, event.detail.fragment);
  });
  // A note that somebody began in an open form, and left to read on, goes along to the new picture.
  function carryOver(old, fresh) {
    old.querySelectorAll("details[open] textarea[id], details[open] select[id]").forEach(function (field) {
      var same = fresh.querySelector("#" + field.id);
      if (same && !field.closest("form").matches("[hx-trigger]")) same.value = field.value;
    });
  }
  // An answer about the ticket that was open before: what it holds has no place here.
  function isOfAnother(detail) {
    var about = /^\/tickets\/(\d+)\//.exec(detail.requestConfig.path), elt = detail.requestConfig.elt;
    return ticket && about && about[1] !== ticket.dataset.ticket && detail.target.id !== "pane" && !(elt && elt.closest && elt.closest("#rows"));
  }
  function busy() { return document.querySelector("#ticket .htmx-request"); }
  function touched() {
    var editor = document.getElementById("reply-text");
    return editor && (editor.value !== editor.defaultValue || document.activeElement === editor);
  }
  function overtaken() {
    var state = document.getElementById("reply-state"), version = document.getElementById("draft-version");
    var place = document.getElementById("reply-notice");
    if (!state || !version || !place || state.dataset.version === version.value || document.getElementById("overtaken")) return;
    if (Number(state.dataset.version) < Number(version.value)) return;
    var box = document.createElement("div");
    box.className = "notice notice-warn"; box.id = "overtaken";
    box.textContent = "The draft was changed by somebody else meanwhile. What you typed is kept here; reload to see theirs.";
    place.replaceChildren(box);
  }

  connect();
})();
