(function () {
  var root = document.documentElement, tip = document.getElementById("tip"), button = document.getElementById("code");
  root.classList.add("js");
  button.addEventListener("click", function () {
    var shown = root.classList.toggle("show-code");
    button.textContent = shown ? "Hide code" : "Show code";
    button.setAttribute("aria-expanded", shown);
    document.querySelectorAll("details.code").forEach(function (cell) { cell.open = shown; });
  });
  document.querySelectorAll(".wb-scroll table").forEach(function (table) {
    var rows = table.tBodies.length ? table.tBodies[0].rows.length : 0, box = table.parentNode;
    if (rows <= 20) { return; }
    var more = document.createElement("button");
    more.type = "button";
    more.className = "more";
    function fold(folded) {
      box.classList.toggle("short", folded);
      more.textContent = folded ? "Show all " + rows + " rows" : "Show fewer rows";
    }
    more.addEventListener("click", function () { fold(!box.classList.contains("short")); });
    box.after(more);
    fold(true);
  });
  function mark(event) { return event.target.closest && event.target.closest(".chart svg [aria-label]"); }
  function hide() { tip.classList.remove("on"); }
  function show(event) {
    var found = mark(event);
    if (!found) { hide(); return; }
    tip.textContent = found.getAttribute("aria-label");
    var box = tip.getBoundingClientRect(), above = event.clientY - box.height - 14;
    var left = Math.min(Math.max(6, event.clientX - box.width / 2), root.clientWidth - box.width - 6);
    tip.style.transform = "translate(" + Math.max(6, left) + "px," + (above < 6 ? event.clientY + 18 : above) + "px)";
    tip.classList.add("on");
  }
  document.addEventListener("pointermove", show);
  document.addEventListener("pointerdown", show);
  document.addEventListener("scroll", hide, { passive: true });
  document.addEventListener("keydown", function (event) { if (event.key === "Escape") { hide(); } });
  if (matchMedia("(max-width: 980px)").matches) {
    var toc = document.querySelector("details.toc");
    if (toc) { toc.open = false; }
  }
})();
