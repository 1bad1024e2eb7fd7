// Who else is at this ticket: told over the socket while the page is looked at, drawn into the ticket's head.
(function () {
  "use strict";
  var BEAT = 10000, WRITING = 60000;
  var ticket = document.getElementById("ticket"), people = [], doing = null, typed = { reply: 0, comment: 0 };
  if (!ticket && !document.getElementById("pane")) return;

  // ── What this person does ──
  function writes(kind, selector) {
    var written = Array.from(document.querySelectorAll(selector)).some(function (field) { return field.value !== "" && field.offsetParent; });
    return written && Date.now() - typed[kind] < WRITING;
  }
  function now() {
    if (document.hidden || !document.getElementById("ticket")) return "";
    if (writes("reply", "#reply-text")) return "replying";
    return writes("comment", "#comment-text, .comment-edit textarea") ? "commenting" : "viewing";
  }
  function tell(always) {
    var next = now();
    if (next === doing && !always) return;
    if (window.desk.tell && window.desk.tell({ type: "presence", doing: next })) doing = next;
  }
  document.addEventListener("input", function (event) {
    if (event.target.id === "reply-text") typed.reply = Date.now();
    else if (event.target.matches("#comment-text, .comment-edit textarea")) typed.comment = Date.now();
    else return;
    tell();
  });
  document.addEventListener("htmx:afterRequest", function (event) {
    if (!event.detail.successful) return;
    if (event.detail.elt.id === "reply-form") typed.reply = 0;
    if (event.detail.elt.closest && event.detail.elt.closest(".comment-form, .comment-edit")) typed.comment = 0;
    tell();
  });
  document.addEventListener("visibilitychange", function () { tell(); });
  document.addEventListener("desk:open", function () { doing = null; tell(); });
  setInterval(function () { tell(now() !== ""); }, BEAT);

  // ── What the others do ──
  var WORDS = { replying: "is writing a reply", commenting: "is writing a comment" };
  document.addEventListener("desk:presence", function (event) { people = event.detail.people; draw(); });
  document.addEventListener("desk:ticket", function () { people = []; doing = null; typed = { reply: 0, comment: 0 }; draw(); });
  document.addEventListener("desk:lost", function () { people = []; draw(); });
  document.addEventListener("htmx:oobAfterSwap", function (event) {
    if (event.detail.target && event.detail.target.id === "ticket-head") draw();
  });
  function initials(name) {
    return name.replace("@", " ").split(/\s+/).slice(0, 2).map(function (word) { return word.slice(0, 1); }).join("").toUpperCase();
  }
  function sentence() {
    var writers = people.filter(function (one) { return WORDS[one.doing]; });
    if (writers.length) return writers.slice(0, 2).map(function (one) { return one.name + " " + WORDS[one.doing]; }).join(", ");
    if (people.length === 1) return people[0].name + " is here";
    if (people.length === 2) return people[0].name + " and " + people[1].name + " are here";
    return people.length ? people[0].name + " and " + (people.length - 1) + " others are here" : "";
  }
  function draw() {
    var place = document.getElementById("presence");
    if (!place) return;
    place.replaceChildren();
    people.slice(0, 4).forEach(function (one) {
      var badge = document.createElement("span");
      badge.className = "avatar avatar-" + one.doing;
      badge.textContent = initials(one.name);
      badge.title = one.name + " " + (WORDS[one.doing] || "is here");
      badge.setAttribute("aria-hidden", "true");
      place.append(badge);
    });
    var words = document.createElement("span");
    words.textContent = sentence();
    if (people.length) place.append(words);
    warn();
  }
  // Two replies at once are warned of, never forbidden.
  function warn() {
    var place = document.getElementById("presence-warning"), writers = people.filter(function (one) { return one.doing === "replying"; });
    if (!place) return;
    if (!writers.length || !document.getElementById("approve")) { place.replaceChildren(); return; }
    var box = document.createElement("div");
    box.className = "notice notice-warn";
    box.textContent = writers.map(function (one) { return one.name; }).join(" and ") + (writers.length > 1 ? " are" : " is") + " writing a reply, too. You can send yours; the customer may then get two.";
    place.replaceChildren(box);
  }
})();
