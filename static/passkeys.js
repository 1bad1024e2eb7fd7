// Passkeys: allauth's scripts speak to the browser; here is what the page says when that does not go well.
(function () {
  "use strict";
  var able = typeof window.PublicKeyCredential === "function";
  var words = {
    NotAllowedError: "The browser gave no passkey: it was cancelled, took too long, or none is here for this desk.",
    InvalidStateError: "This device has a passkey for this desk already.",
    SecurityError: "The browser gives passkeys to a named address only: open the desk by its name, with https or as localhost."
  };
  document.addEventListener("DOMContentLoaded", function () {
    document.querySelectorAll("[data-needs-passkeys]").forEach(function (form) {
      if (able) { form.hidden = false; return; }
      form.querySelectorAll("button").forEach(function (button) { button.disabled = true; });
    });
  });
  document.addEventListener("allauth.error", function (event) {
    var place = document.getElementById("passkey-error"), fault = event.detail.exception;
    event.preventDefault();
    if (!place) return;
    place.hidden = false;
    place.querySelector("span").textContent = words[fault && fault.name] || "The passkey did not work. Try again, or use another way in.";
  });
})();
