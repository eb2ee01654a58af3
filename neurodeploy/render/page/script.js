"use strict";
// The page says everything without this: tips, lists of choices and sorting are comfort.
(() => {
  const tip = document.createElement("div");
  tip.id = "tip";
  tip.hidden = true;
  tip.setAttribute("role", "status");
  document.body.append(tip);
  const texts = new Map();
  const show = (mark, x, y) => {
    tip.textContent = texts.get(mark);
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(x + 12, innerWidth - box.width - 8))}px`;
    tip.style.top = `${y + 18 + box.height > innerHeight ? y - box.height - 10 : y + 18}px`;
  };
  const hide = () => { tip.hidden = true; };
  for (const svg of document.querySelectorAll("svg")) {
    const marks = [...svg.querySelectorAll(".tip")];
    if (!marks.length) continue;
    for (const mark of marks) {
      // Ours takes the place of the browser's.
      const title = mark.querySelector(":scope > title");
      texts.set(mark, title.textContent);
      title.remove();
    }
    svg.addEventListener("pointermove", (event) => {
      const mark = event.target.closest(".tip");
      if (mark) show(mark, event.clientX, event.clientY); else hide();
    });
    svg.addEventListener("pointerleave", hide);
    svg.addEventListener("blur", hide);
    let at = -1;
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (event.key === "Escape") hide();
      if (!step) return;
      event.preventDefault();
      at = (at + step + marks.length) % marks.length;
      const box = marks[at].getBoundingClientRect();
      show(marks[at], box.left + box.width / 2, box.top + box.height / 2);
    });
  }
  document.addEventListener("scroll", hide, { passive: true });

  for (const pick of document.querySelectorAll(".pick")) {
    const choices = [...pick.children];
    if (choices.length < 2) continue;
    const label = document.createElement("label");
    const list = document.createElement("select");
    for (const choice of choices) list.add(new Option(choice.querySelector("summary").textContent));
    const choose = () => choices.forEach((choice, i) => { choice.open = i === list.selectedIndex; });
    list.addEventListener("change", choose);
    label.append(pick.dataset.label, list);
    pick.prepend(label);
    pick.classList.add("ready");
    choose();
  }

  const key = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.sort ?? cell.textContent;
    const number = text.trim() === "" ? NaN : Number(text);
    return Number.isNaN(number) ? text : number;
  };
  const compare = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    if (typeof a === typeof b) return a.localeCompare(b, "en", { numeric: true });
    return typeof a === "number" ? -1 : 1;
  };
  for (const head of document.querySelectorAll("thead th")) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const body = head.closest("table").tBodies[0];
      const rows = [...body.rows].map((row) => [key(row, head.cellIndex), row]);
      rows.sort((a, b) => (down ? -1 : 1) * compare(a[0], b[0]));
      body.append(...rows.map((pair) => pair[1]));
    });
  }
})();
