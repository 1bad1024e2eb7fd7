// Live updates: one socket a page. The server pushes rows and counts; after every gap the page asks what it missed.
// A frozen server is noticed by its missing heartbeat; without a socket the page asks every 15 seconds.
(function () {
  "use strict";
  var BEAT_LOST = 25000, POLL = 15000, SLOWEST = 15000, MOST_ROWS = 150;
  var address = document.body.dataset.live;
  if (!address) return;

  var socket = null, heard = 0, attempts = 0, timer = null, leaving = false;
  var queue = document.querySelector("[data-queue]"), ticket = document.getElementById("ticket");
  var gap = false, waiting = [];  // new rows that have not been let in yet: [number, html], newest first

  // ── What the person sees of it ──
  var words = { live: "Live", reconnecting: "Reconnecting", polling: "Checking every 15 s", offline: "Offline" };
  function show(state) {
    var place = document.getElementById("connection");
    if (!place || place.dataset.state === state) return;
    place.dataset.state = state;
    document.getElementById("connection-word").textContent = words[state];
    if (state !== "live") desks(0);
  }
  function desks(count) {
    document.getElementById("connection-desks").textContent = count > 0 ? "· " + count + (count === 1 ? " desk" : " desks") : "";
  }
  function text(id, value) {
    var place = document.getElementById(id);
    if (place && value !== undefined) place.textContent = Number(value).toLocaleString("en-GB");
  }

  // ── Socket ──
  function connect() {
    clearTimeout(timer);
    drop();
    var url = (location.protocol === "https:" ? "wss://" : "ws://") + location.host + address;
    if (ticket) url += "?ticket=" + ticket.dataset.ticket;
    var mine = socket = new WebSocket(url);
    heard = Date.now();
    mine.onopen = function () { attempts = 0; heard = Date.now(); show("live"); catchUp(); };
    mine.onmessage = function (event) { heard = Date.now(); receive(JSON.parse(event.data)); };
    mine.onclose = function () { if (mine === socket) retry(); };
  }
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
  setInterval(function () { if (socket && Date.now() - heard > BEAT_LOST) retry(); }, 5000);
  setInterval(function () { if (!isLive() && !document.hidden) catchUp(); }, POLL);
  document.addEventListener("visibilitychange", function () {
    if (document.hidden) return;
    if (isLive()) catchUp(); else { attempts = 0; connect(); }
  });
  window.addEventListener("online", function () { attempts = 0; connect(); });
  window.addEventListener("offline", function () { show("offline"); });
  window.addEventListener("pagehide", function () { leaving = true; drop(); });
  window.addEventListener("pageshow", function (event) { if (event.persisted) { leaving = false; connect(); } });

  function receive(message) {
    if (message.type === "beat") { desks(message.desks); return; }
    if (message.type === "catch-up") { soon(); return; }
    if (message.type === "ticket") { refreshTicket(); return; }
    if (message.type !== "tickets") return;
    text("rail-count", message.open);
    if (!queue) return;
    if (asking) overheard = true;  // the answer under way may hold an older picture of a row that is not here yet
    Object.keys(message.rows).forEach(function (number) { change(number, message.rows[number]); });
    message.gone.forEach(leave);
    if (queue.dataset.filtered) soon(); else { counts(message.counts); if (message.created) soon(); }
  }

  // ── Catching up: by GET, at once, then at most once a second ──
  var asked = 0, pending = null, asking = false, overheard = false;
  function soon() {
    if (pending) return;
    pending = setTimeout(function () { pending = null; catchUp(); }, Math.max(20 + Math.random() * 80, asked + 1000 - Date.now()));
  }
  function catchUp() {
    if (ticket) { refreshTicket(); probe(); return; }
    if (!queue) { probe(); return; }
    if (asking) { soon(); return; }
    asking = true; asked = Date.now();
    var url = queue.dataset.changes + "&since=" + queue.dataset.now + "&newest=" + newest();
    ask(url).then(function (answer) {
      queue.dataset.now = answer.now;
      Object.keys(answer.rows).forEach(function (number) { change(number, answer.rows[number]); });
      text("rail-count", answer.open);
      counts(answer.counts);
      answer.fresh.forEach(function (pair) {
        if (!document.getElementById("ticket-" + pair[0]) && !waiting.some(function (held) { return held[0] === pair[0]; })) waiting.push(pair);
      });
      // More came than one answer holds: what is shown now lies below a gap, and gives way when they are let in.
      if (answer.fresh.length >= Number(queue.dataset.page)) { waiting = answer.fresh; gap = true; }
      waiting.sort(function (a, b) { return b[0] - a[0]; });
      if (waiting.length > MOST_ROWS) { waiting = waiting.slice(0, MOST_ROWS); gap = true; }
      letIn();
    }).catch(function () {}).then(function () {
      asking = false;
      if (overheard) { overheard = false; soon(); }
    });
  }
  function probe() { if (!isLive()) ask("/tickets/changes/?since=" + Date.now()).catch(function () {}); }
  function ask(url) {
    return fetch(url, { headers: { Accept: "application/json" }, credentials: "same-origin" }).then(function (response) {
      if (response.redirected) { location.reload(); throw new Error("signed out"); }
      if (!response.ok) throw new Error(response.status);
      if (!isLive()) show("polling");
      return response.json();
    }).catch(function (error) { if (!isLive()) show("offline"); throw error; });
  }

  // ── The queue ──
  function newest() {
    var number = waiting.length ? waiting[0][0] : 0;
    document.querySelectorAll("#rows [data-number]").forEach(function (row) { number = Math.max(number, Number(row.dataset.number)); });
    return number;
  }
  function made(html) {
    var box = document.createElement("template");
    box.innerHTML = html.trim();
    return box.content.firstElementChild;
  }
  function change(number, html) {
    waiting.forEach(function (held) { if (held[0] === Number(number)) held[1] = html; });
    var old = document.getElementById("ticket-" + number);
    if (!old || !old.closest("#rows")) return;
    var fresh = made(html);
    if (Number(fresh.dataset.stamp) < Number(old.dataset.stamp)) return;  // an older picture arrived late
    if (fresh.outerHTML === old.dataset.shown || fresh.dataset.stamp === old.dataset.stamp) return;
    var focused = old.contains(document.activeElement) && document.activeElement.id;
    old.replaceWith(fresh);
    htmx.process(fresh);
    fresh.classList.add("row-changed");
    if (focused && document.getElementById(focused)) document.getElementById(focused).focus({ preventScroll: true });
  }
  function leave(number) {
    var row = document.getElementById("ticket-" + number);
    if (row && row.closest("#rows")) row.remove();
    waiting = waiting.filter(function (held) { return held[0] !== number; });
    news();
  }
  function counts(found) {
    if (!found) return;
    document.querySelectorAll(".tab .count").forEach(function (place) {
      var key = place.id.replace("count-", "");
      text(place.id, key === "all" ? found[queue.dataset.all] : found[key]);
    });
  }
  function letIn(asked) {
    var idle = window.scrollY < 60 && !(document.activeElement && window.desk.typing(document.activeElement)) && !document.hidden;
    if (queue.dataset.paged || (!idle && !asked)) { news(); return; }
    var cut = gap ? 0 : MOST_ROWS - waiting.length, shown = document.querySelectorAll("#rows [data-number]");
    for (var i = cut; i < shown.length; i++) shown[i].remove();
    if (shown.length > cut) older();
    gap = false;
    var head = document.querySelector("#rows .row-head"), empty = document.getElementById("queue-empty");
    if (waiting.length && empty) empty.remove();
    waiting.slice().reverse().forEach(function (pair) {
      var row = made(pair[1]);
      row.classList.add("row-fresh");
      head.after(row);
      htmx.process(row);
    });
    waiting = [];
    news();
  }
  // Rows were taken off the end: the way to the older ones begins after the last that is left, or is let in now.
  function older() {
    var shown = document.querySelectorAll("#rows [data-number]");
    var last = shown.length ? shown[shown.length - 1].dataset.number : waiting[waiting.length - 1][0];
    var link = document.getElementById("older");
    if (!link) {
      var foot = document.createElement("div");
      foot.className = "queue-foot";
      link = document.createElement("a");
      link.className = "button"; link.id = "older"; link.rel = "next"; link.textContent = "Older tickets";
      foot.append(link);
      queue.append(foot);
    }
    link.href = location.pathname + "?" + queue.dataset.changes.split("?")[1] + "&before=" + last;
  }
  function news() {
    var place = document.getElementById("news");
    place.hidden = waiting.length === 0;
    document.getElementById("news-words").textContent = waiting.length + (gap ? "+ new" : " new");
  }
  if (queue) {
    document.getElementById("news-open").addEventListener("click", function () {
      if (queue.dataset.paged) { location.assign(location.pathname + "?" + queue.dataset.changes.split("?")[1]); return; }
      window.scrollTo(0, 0);
      letIn(true);
    });
    document.addEventListener("scroll", function () { if (waiting.length && window.scrollY < 60) letIn(); }, { passive: true });
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
      if (busy()) { refreshTicket(); return; }
      if (editing()) { document.addEventListener("focusout", function () { setTimeout(refreshTicket, 200); }, { once: true }); return; }
      htmx.ajax("GET", ticket.dataset.pieces + (touched() ? "" : "?editor=1"), { source: "#ticket", target: "#ticket-notice", swap: "none" }).then(overtaken, function () {});
    }, 120);
  }
  // What a person does goes first: pieces that arrive during their request would take its place away under it, and
  // an editor that somebody has begun to type in since the pieces were asked for stays.
  var quiet = false;
  document.addEventListener("htmx:beforeSwap", function (event) {
    quiet = ticket !== null && event.detail.requestConfig.elt === ticket;
    if (quiet && busy()) { event.detail.shouldSwap = false; refreshTicket(); }
  });
  document.addEventListener("htmx:oobBeforeSwap", function (event) {
    if (quiet && event.detail.target.id === "reply" && touched()) event.detail.shouldSwap = false;
  });
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
