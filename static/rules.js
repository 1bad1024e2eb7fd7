// The form of a rule: another choice in a row gives it other fields. Without this, "Refresh the form" does.
(function () {
  "use strict";
  document.addEventListener("change", function (event) {
    var hit = event.target.closest && event.target.closest("#rule-form [data-reshape]");
    if (!hit) return;
    var id = hit.id, form = document.getElementById("rule-form");
    htmx.ajax("POST", form.getAttribute("action"), { source: form, values: { step: "update" }, target: "#rule-form", swap: "outerHTML" }).then(function () {
      var again = document.getElementById(id);
      if (again) again.focus();
    });
  });
  // A row that was added is the next to be filled in; what was tried is looked at.
  document.addEventListener("htmx:afterSwap", function (event) {
    var step = event.detail.requestConfig.parameters.get ? event.detail.requestConfig.parameters.get("step") : event.detail.requestConfig.parameters.step;
    if (step === "add:c" || step === "add:d") {
      var rows = document.querySelectorAll("#rule-form select[id^=" + step.slice(4) + "][id$=-what]");
      if (rows.length) rows[rows.length - 1].focus();
    }
    var trial = document.getElementById("trial");
    if (step === "try" && trial) trial.scrollIntoView({ block: "nearest" });
  });
})();
