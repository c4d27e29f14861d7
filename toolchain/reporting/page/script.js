"use strict";
// Adds to a page that is whole without it: sorting, values under the pointer or by arrow keys, saved figures.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const make = (name, about = {}, text = "") => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(about)) made.setAttribute(key, value);
    made.textContent = text;
    return made;
  };

  // --- sorting ---------------------------------------------------------------------------------------------------
  const PREFIX = { f: 1e-15, p: 1e-12, n: 1e-9, "µ": 1e-6, m: 1e-3, k: 1e3, M: 1e6, G: 1e9, T: 1e12 };
  const NUMBER = /^(?:at least |< |> )?([-+\u2212]?[\d,]*\.?\d+(?:e[-+]?\d+)?)\s*(?:([fpnµmkMGT])?(?:J|s|Hz|B)?(?![\p{L}]))?/iu;

  function valueOf(cell) {
    const text = cell.textContent.replace(/\u00a0/g, " ").trim();
    const unknown = text === "" || text === "\u2013";
    const found = NUMBER.exec(text);
    if (!found) return { unknown, text, number: null };
    const number = Number(found[1].replace(/,/g, "").replace("\u2212", "-")) * (PREFIX[found[2]] ?? 1);
    return { unknown, text, number };
  }

  function compare(a, b) {
    if (a.unknown !== b.unknown) return a.unknown ? 1 : -1;
    if (a.number !== null && b.number !== null && a.number !== b.number) return a.number - b.number;
    return a.text.localeCompare(b.text, "en", { numeric: true });
  }

  function sort(table, column, order) {
    const body = table.tBodies[0];
    const rows = table.given.slice();
    const last = table.classList.contains("totalled") ? rows.pop() : null;
    if (order !== "none") {
      const keyed = rows.map((row) => ({ row, key: valueOf(row.cells[column]) }));
      keyed.sort((a, b) => {
        const found = compare(a.key, b.key);
        return order === "descending" && a.key.unknown === b.key.unknown ? -found : found;
      });
      rows.splice(0, rows.length, ...keyed.map((each) => each.row));
    }
    body.append(...rows, ...(last ? [last] : []));
  }

  for (const table of all("table.sortable")) {
    table.given = [...table.tBodies[0].rows];
    all("thead th", table).forEach((head, column) => {
      if (!head.textContent.trim() || head.classList.contains("drawing")) return;
      const button = make("button", { type: "button", class: "sort" });
      button.append(...head.childNodes);
      head.append(button);
      head.setAttribute("aria-sort", "none");
      if (head.title) {
        button.setAttribute("aria-description", head.title);
        button.dataset.tip = head.title;
        head.removeAttribute("title");
      }
      button.addEventListener("click", () => {
        const next = { none: head.classList.contains("number") ? "descending" : "ascending" };
        next.descending = next.none === "descending" ? "ascending" : "none";
        next.ascending = next.none === "descending" ? "none" : "descending";
        const order = next[head.getAttribute("aria-sort")];
        for (const other of all("thead th[aria-sort]", table)) other.setAttribute("aria-sort", "none");
        head.setAttribute("aria-sort", order);
        sort(table, column, order);
      });
    });
  }

  // --- values under the pointer, and by arrow keys ---------------------------------------------------------------
  const tip = make("div", { class: "tip", role: "status", "aria-live": "polite" });
  tip.hidden = true;
  document.body.append(tip);
  let shown = null;
  for (const title of all("svg g.mark > title, svg.strip > title")) {
    const owner = title.parentNode;
    owner.dataset.tip = title.textContent;
    if (owner.matches("g")) title.remove(); // else the browser shows it a second time
  }
  for (const each of all("span[title]")) {
    each.dataset.tip = each.title;
    each.setAttribute("aria-description", each.title);
    each.removeAttribute("title");
  }

  function show(owner, x, y) {
    if (shown && shown !== owner) shown.classList.remove("on");
    shown = owner;
    tip.hidden = !owner;
    if (!owner) return;
    owner.classList.add("on");
    if (tip.textContent !== owner.dataset.tip) tip.textContent = owner.dataset.tip;
    const room = document.documentElement.clientWidth;
    tip.style.left = "0px"; // so that its width does not depend on where it was
    const box = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(8, Math.min(x - box.width / 2, room - box.width - 8))}px`;
    tip.style.top = `${y - box.height - 14 < 4 ? y + 18 : y - box.height - 14}px`;
  }

  const centre = (mark) => {
    const box = mark.getBoundingClientRect();
    return [box.left + box.width / 2, box.top + box.height / 2];
  };

  function under(event) {
    const direct = event.target.closest?.("[data-tip]");
    if (direct) return direct;
    const near = event.target.closest?.("svg.near");
    if (!near) return null;
    const away = all("[data-tip]", near).map((mark) => {
      const [x, y] = centre(mark);
      return { mark, distance: Math.hypot(x - event.clientX, y - event.clientY) };
    });
    away.sort((a, b) => a.distance - b.distance);
    return away.length && away[0].distance < 40 ? away[0].mark : null;
  }

  const point = (event) => show(under(event), event.clientX, event.clientY);
  document.addEventListener("pointermove", point);
  document.addEventListener("pointerdown", point);
  let keyed = 0; // when an arrow key was pressed last: what scrolls right after it brings its chart into view
  const scrolled = () => performance.now() - keyed > 300 && show(null);
  document.addEventListener("scroll", scrolled, { passive: true, capture: true });
  document.addEventListener("focusin", (event) => {
    const owner = event.target.closest?.("button[data-tip]");
    if (owner) show(owner, ...centre(owner));
  });
  document.addEventListener("focusout", () => show(null));
  document.addEventListener("keydown", (event) => {
    const drawing = event.target.closest?.("svg.chart");
    if (event.key === "Escape") show(null);
    if (!drawing || !["ArrowRight", "ArrowLeft", "Home", "End"].includes(event.key)) return;
    const marks = all("[data-tip]", drawing);
    if (!marks.length) return;
    event.preventDefault();
    const step = event.key === "ArrowRight" ? 1 : -1;
    keyed = performance.now();
    let at = (marks.includes(shown) ? marks.indexOf(shown) : drawing.at ?? -1) + step;
    if (event.key === "Home" || at >= marks.length) at = 0;
    if (event.key === "End" || at < 0) at = marks.length - 1;
    drawing.at = at;
    show(marks[at], ...centre(marks[at]));
  });

  // --- figures that can be saved ---------------------------------------------------------------------------------
  const KEPT = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray",
    "stroke-linejoin", "opacity", "font-size", "font-weight", "font-family", "text-anchor", "visibility",
    "paint-order"];

  function standing(svg) {
    const copy = svg.cloneNode(true);
    const from = [svg, ...all("*", svg)];
    [copy, ...all("*", copy)].forEach((node, i) => {
      const style = getComputedStyle(from[i]);
      for (const key of KEPT) if (style.getPropertyValue(key)) node.setAttribute(key, style.getPropertyValue(key));
      if (node.dataset?.tip) {
        const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
        title.textContent = node.dataset.tip;
        node.prepend(title);
      }
      for (const name of ["class", "tabindex", "data-tip"]) node.removeAttribute(name);
    });
    const [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
    const back = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    for (const [key, value] of Object.entries({ width, height, fill: getComputedStyle(document.body).backgroundColor }))
      back.setAttribute(key, value);
    copy.prepend(back);
    copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    copy.setAttribute("width", width);
    copy.setAttribute("height", height);
    return { text: new XMLSerializer().serializeToString(copy), width, height };
  }

  function offer(blob, name) {
    const link = make("a", { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  function savePng(svg, name) {
    const { text, width, height } = standing(svg);
    const picture = new Image();
    picture.addEventListener("load", () => {
      const canvas = make("canvas", { width: width * 3, height: height * 3 });
      canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
      canvas.toBlob((blob) => offer(blob, `${name}.png`));
      URL.revokeObjectURL(picture.src);
    });
    picture.src = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
  }

  for (const figure of all("figure[data-name]")) {
    const svg = figure.querySelector("svg");
    const name = figure.dataset.name;
    const bar = make("div", { class: "save" });
    const asSvg = make("button", { type: "button", "aria-label": `Save ${name} as SVG` }, "SVG");
    const asPng = make("button", { type: "button", "aria-label": `Save ${name} as PNG` }, "PNG");
    asSvg.addEventListener("click", () =>
      offer(new Blob([standing(svg).text], { type: "image/svg+xml" }), `${name}.svg`));
    asPng.addEventListener("click", () => savePng(svg, name));
    bar.append(asSvg, asPng);
    figure.append(bar);
  }

  // --- print -----------------------------------------------------------------------------------------------------
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = all("details:not([open])");
    for (const each of closed) each.open = true;
  });
  addEventListener("afterprint", () => {
    for (const each of closed) each.open = false;
  });
  document.documentElement.classList.add("scripted");
})();
