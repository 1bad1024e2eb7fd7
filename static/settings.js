// On a phone the settings' pages are one line that scrolls: the page one is on must be within it.
(function () {
  var nav = document.querySelector(".settings-nav");
  var here = nav && nav.querySelector("[aria-current]");
  if (here && nav.scrollWidth > nav.clientWidth) nav.scrollLeft = here.offsetLeft - nav.offsetLeft - (nav.clientWidth - here.offsetWidth) / 2;
})();
