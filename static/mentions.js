// "@" in a comment offers colleagues who may see the ticket. What is typed is plain text: without this it works as well.
(function () {
  "use strict";
  var field = null, list = null, items = [], at = -1, from = 0, asked = 0, timer = null;

  document.addEventListener("input", function (event) {
    if (!event.target.dataset || !event.target.dataset.mentions) return;
    clearTimeout(timer);
    var found = word(event.target);
    if (found === null) { close(); return; }
    field = event.target;
    timer = setTimeout(function () { ask(found); }, 80);
  });
  // The word behind an "@" that the caret stands in, or null.
  function word(area) {
    var before = area.value.slice(0, area.selectionStart), found = /(^|[^\w@.\/])@([\w.+-]{0,50})$/.exec(before);
    if (!found) return null;
    from = before.length - found[2].length;
    return found[2];
  }
  function ask(typed) {
    var mine = ++asked;
    fetch(field.dataset.mentions + "?q=" + encodeURIComponent(typed), { headers: { Accept: "application/json" }, credentials: "same-origin" })
      .then(function (response) { return response.ok && !response.redirected ? response.json() : { items: [] }; })
      .then(function (answer) { if (mine === asked && field && word(field) !== null) show(answer.items); }, function () {});
  }

  function show(found) {
    if (!found.length) { close(); return; }
    if (!list) build();
    items = found;
    list.replaceChildren.apply(list, found.map(function (one, index) {
      var row = document.createElement("li"), name = document.createElement("span");
      row.id = "mention-" + index;
      row.setAttribute("role", "option");
      row.textContent = one.label;
      name.className = "quiet tiny push";
      name.textContent = (one.team ? "Team @" : "@") + one.name;
      row.append(name);
      return row;
    }));
    field.insertAdjacentElement("afterend", list);
    list.hidden = false;
    field.setAttribute("aria-autocomplete", "list");
    field.setAttribute("aria-controls", "mention-list");
    move(0);
  }
  function build() {
    list = document.createElement("ul");
    list.id = "mention-list";
    list.className = "mention-list";
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", "Colleagues");
    list.addEventListener("mousedown", function (event) {
      var row = event.target.closest("li");
      event.preventDefault();  // the field keeps the focus
      if (row) choose(Array.from(list.children).indexOf(row));
    });
  }
  function move(to) {
    at = (to + items.length) % items.length;
    Array.from(list.children).forEach(function (row, index) {
      row.setAttribute("aria-selected", String(index === at));
      if (index === at) row.scrollIntoView({ block: "nearest" });
    });
    field.setAttribute("aria-activedescendant", "mention-" + at);
  }
  function choose(index) {
    var name = items[index].name + " ", end = field.selectionStart, area = field;
    area.setRangeText(name, from, end, "end");
    close();
    area.focus();
    area.dispatchEvent(new Event("input", { bubbles: true }));
  }
  function close() {
    asked++;
    if (field) field.removeAttribute("aria-activedescendant");
    if (list) { list.hidden = true; items = []; }
  }

  document.addEventListener("keydown", function (event) {
    if (!list || list.hidden || event.target !== field) return;
    if (event.key === "ArrowDown") move(at + 1);
    else if (event.key === "ArrowUp") move(at - 1);
    else if ((event.key === "Enter" && !event.ctrlKey && !event.metaKey) || event.key === "Tab") choose(at);
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }, true);
  document.addEventListener("focusout", function (event) { if (event.target === field) close(); });
})();
