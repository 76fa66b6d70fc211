"use strict";
// The readout under the pointer and zooming, for all charts at once. Without it the page shows the same charts, whole and still.
const data = JSON.parse(document.getElementById("data").textContent);
const all = { from: data.first_s, to: data.last_s };
const section = document.getElementById("charts");
const plots = [...section.querySelectorAll(".plot")];
const status = section.querySelector(".cursor-time");
const steps = [0.001, 0.01, 0.1, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
let view = { ...all };
let at = null; // index of the point under the cursor

const clock = (s, decimals = 0) => new Date(s * 1000).toISOString().slice(11, decimals ? 20 + decimals : 19).replace("Z", "");
const figure = (v) => (v === null ? "–" : v.toLocaleString("en-US", { maximumFractionDigits: Math.abs(v) < 10 ? 1 : 0 }));
const share = (s) => ((s - view.from) / (view.to - view.from)) * 100;

function place() {
  const width = view.to - view.from;
  for (const svg of section.querySelectorAll(".plot svg")) {
    const box = svg.viewBox.baseVal;
    svg.setAttribute("viewBox", `${(view.from - all.from) * data.units_per_s} 0 ${width * data.units_per_s} ${box.height}`);
  }
  for (const mark of section.querySelectorAll("[data-at]")) {
    const percent = share(+mark.dataset.at);
    mark.style.left = percent + "%";
    mark.hidden = percent < 0 || percent > 100;
  }
  for (const span of section.querySelectorAll("[data-from]")) {
    const from = Math.max(0, share(+span.dataset.from)), to = Math.min(100, share(+span.dataset.to));
    span.style.left = from + "%";
    span.style.width = Math.max(0, to - from) + "%";
    span.hidden = to < 0 || from > 100;
    const title = span.parentElement.querySelector("b");
    if (title && span.classList.contains("bar-line")) {
      title.style.left = from > 50 ? "auto" : from + "%";
      title.style.right = from > 50 ? Math.max(0, 100 - to) + "%" : "auto";
    }
  }
  const room = Math.max(2, Math.floor(plots[0].clientWidth / 75));
  const step = steps.find((s) => width / s <= room) ?? 86400 * Math.ceil(width / room / 86400);
  const ticks = [];
  for (let s = Math.ceil(view.from / step) * step; s <= view.to; s += step) {
    const tick = document.createElement("span");
    tick.textContent = step >= 86400 ? new Date(s * 1000).toISOString().slice(5, 10) : step >= 60 ? clock(s).slice(0, 5) : clock(s, step < 1 ? 3 : 0);
    tick.style.left = share(s) + "%";
    if (share(s) > data.last_tick) tick.className = "last";
    ticks.push(tick);
  }
  for (const times of section.querySelectorAll(".times")) times.replaceChildren(...ticks.map((tick) => tick.cloneNode(true)));
  point(at);
}

function point(index) {
  at = index;
  const middle = index === null ? null : (data.starts[index] + data.ends[index]) / 2 + all.from;
  for (const cursor of section.querySelectorAll(".cursor")) {
    cursor.hidden = index === null || middle < view.from || middle > view.to;
    if (!cursor.hidden) cursor.style.left = share(middle) + "%";
  }
  for (const chart of section.querySelectorAll("[data-chart]")) {
    for (const output of chart.querySelectorAll("[data-line]")) {
      output.textContent = index === null ? output.dataset.note : figure(data.charts[chart.dataset.chart][output.dataset.line][index]);
      output.classList.toggle("live", index !== null);
    }
  }
  status.textContent = index === null ? status.dataset.note : `${clock(all.from + data.starts[index])} – ${clock(all.from + data.ends[index])} UTC`;
}

function indexAt(s) {
  let low = 0, high = data.ends.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (data.ends[middle] + all.from <= s) low = middle + 1;
    else high = middle;
  }
  return low;
}

function zoom(from, to) {
  view = { from: Math.max(all.from, from), to: Math.min(all.to, to) };
  if (view.to - view.from < data.least_s) view = { ...all };
  place();
}

for (const plot of plots) {
  let start = null, brush = null;
  const timeOf = (event) => {
    const box = plot.getBoundingClientRect();
    return view.from + Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) * (view.to - view.from);
  };
  plot.addEventListener("pointermove", (event) => {
    const s = timeOf(event);
    point(indexAt(s));
    if (start === null || event.pointerType !== "mouse") return;
    if (!brush) plot.append((brush = Object.assign(document.createElement("i"), { className: "brush" })));
    brush.style.left = share(Math.min(start, s)) + "%";
    brush.style.width = Math.abs(share(s) - share(start)) + "%";
  });
  plot.addEventListener("pointerdown", (event) => {
    if (event.button === 0) start = timeOf(event);
  });
  plot.addEventListener("pointerup", (event) => {
    const end = timeOf(event);
    if (brush && Math.abs(share(end) - share(start)) > 1) zoom(Math.min(start, end), Math.max(start, end));
    brush?.remove();
    start = brush = null;
  });
  plot.addEventListener("pointerleave", () => {
    brush?.remove();
    start = brush = null;
    point(null);
  });
  plot.addEventListener("dblclick", () => zoom(all.from, all.to));
  plot.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape") zoom(all.from, all.to);
    if (!move) return;
    event.preventDefault();
    const last = data.ends.length - 1;
    point(at === null ? (move > 0 ? 0 : last) : Math.min(last, Math.max(0, at + move)));
  });
  plot.addEventListener("blur", () => point(null));
}
for (const button of section.querySelectorAll("[data-zoom]")) {
  button.addEventListener("click", () => (button.dataset.zoom === "all" ? zoom(all.from, all.to) : zoom(...data.incident)));
}
section.querySelector(".buttons").hidden = false;
addEventListener("resize", place);
place();
