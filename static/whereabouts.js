// Who is at which ticket, drawn into the rows of a list as the desk tells it: with the socket, and never without.
(function () {
  "use strict";
  var WORDS = { replying: "is writing a reply", commenting: "is writing a comment", viewing: "is looking at it" };
  var MOST = 2, known = {};  // {number: [{name, doing}]}, writers first
  if (!document.querySelector("[data-queue]")) return;

  document.addEventListener("desk:whereabouts", function (event) {
    var told = event.detail.tickets;
    if (event.detail.all) known = {};
    Object.keys(told).forEach(function (number) { if (told[number].length) known[number] = told[number]; else delete known[number]; });
    drawAll();
  });
  document.addEventListener("desk:lost", function () { known = {}; drawAll(); });
  // Rows come and are replaced by hands of their own: what is known of them goes along.
  new MutationObserver(function (records) {
    records.forEach(function (record) {
      record.addedNodes.forEach(function (node) {
        if (node.nodeType !== Node.ELEMENT_NODE) return;
        if (node.matches(".row[data-number]")) draw(node);
        else node.querySelectorAll(".row[data-number]").forEach(draw);
      });
    });
  }).observe(document.getElementById("main"), { childList: true, subtree: true });

  function drawAll() { document.querySelectorAll(".row[data-number]").forEach(draw); }
  function sentence(people) { return people.map(function (one) { return one.name + " " + WORDS[one.doing]; }).join(", "); }
  function initials(name) {
    return name.replace("@", " ").split(/\s+/).slice(0, 2).map(function (word) { return word.slice(0, 1); }).join("").toUpperCase();
  }
  function draw(row) {
    var people = known[row.dataset.number] || [], old = row.querySelector(".row-company"), link = row.querySelector(".row-link");
    var words = sentence(people);
    if (!link || (old ? old.title : "") === words) return;
    if (old) old.remove();
    if (!people.length) return;
    var place = document.createElement("span");
    place.className = "row-company";
    place.title = words;
    people.slice(0, MOST).forEach(function (one) { place.append(part("avatar avatar-" + one.doing, initials(one.name))); });
    if (people.length > MOST) place.append(part("quiet", "+" + (people.length - MOST)));
    var said = part("sr-only", words);
    said.removeAttribute("aria-hidden");
    place.append(said);
    link.after(place);
  }
  function part(name, text) {
    var made = document.createElement("span");
    made.className = name;
    made.textContent = text;
    made.setAttribute("aria-hidden", "true");
    return made;
  }
})();
