"use strict";
(() => {
  const drawings = JSON.parse(document.getElementById("drawings").textContent);
  const tip = document.getElementById("tip");
  const SVG = "http://www.w3.org/2000/svg";
  let layer = "lines";

  // The same scale as `tone` in report.py: red at 0.5 and below, teal at 1. Boxes lie on white paper in both themes.
  const tone = percent => {
    const share = Math.min(Math.max((percent / 100 - 0.5) / 0.5, 0), 1);
    return `hsl(${8 + 164 * share ** 3} ${72 - 12 * share}% 36%)`;
  };
  const element = (name, attributes, parent) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    parent.append(made);
    return made;
  };
  const points = quad => `${quad[0]},${quad[1]} ${quad[2]},${quad[3]} ${quad[4]},${quad[5]} ${quad[6]},${quad[7]}`;

  // ---- boxes over pages -------------------------------------------------------------------------------------------
  const shapes = drawing => {
    const box = (quad, percent, text, what, line) => ({ quad, percent, text, what, line });
    if (layer === "lines") return [
      ...drawing.lines.map(([quad, percent, text, role], line) => box(quad, percent, text, role.replace("_", " "), line)),
      ...drawing.objects.map(([quad, percent, label]) => box(quad, percent, label, "object")),
    ];
    if (layer === "words") return drawing.lines.flatMap(([, , , role, words], line) =>
      words.map(([quad, percent, text]) => box(quad, percent, text, role.replace("_", " "), line)));
    if (layer === "tables") return drawing.tables.map(([quad, cells], i) => ({ ...box(quad, 100, `Table ${i + 1}`, `${cells.length} cells`), cells }));
    return [];
  };

  const draw = sheet => {
    const asset = sheet.closest(".asset");
    const drawing = drawings[asset.dataset.number][sheet.dataset.index];
    const svg = sheet.querySelector("svg");
    if (svg.dataset.layer === layer) return;
    svg.replaceChildren();
    svg.dataset.layer = layer;
    if (!sheet.querySelector("img") && layer !== "none") writeText(svg, drawing);
    svg.boxes = shapes(drawing).map(shape => {
      for (const cell of shape.cells || []) element("polygon", { class: "cell", points: points(cell), stroke: tone(100) }, svg);
      const colour = shape.cells ? "#33589a" : tone(shape.percent);
      const polygon = element("polygon", {
        points: points(shape.quad), stroke: colour, fill: colour, "fill-opacity": shape.cells ? 0.04 : 0.12,
        class: shape.percent < 80 ? "low" : "",
      }, svg);
      polygon.shape = shape;
      return polygon;
    });
    for (const quad of drawing.evidence) element("polygon", { class: "mark", points: points(quad), "data-quad": quad.join(",") }, svg);
  };

  // Without its picture a page still shows its words where they stand.
  const writeText = (svg, drawing) => {
    for (const [quad, , text] of drawing.lines) {
      const height = Math.hypot(quad[6] - quad[0], quad[7] - quad[1]);
      const width = Math.hypot(quad[2] - quad[0], quad[3] - quad[1]);
      const angle = Math.atan2(quad[3] - quad[1], quad[2] - quad[0]) * 180 / Math.PI;
      if (!text || width < 2 || height < 2) continue;
      element("text", {
        x: quad[6], y: quad[7] - height * 0.24, "font-size": height * 0.72, textLength: width, lengthAdjust: "spacingAndGlyphs",
        transform: `rotate(${angle} ${quad[6]} ${quad[7]})`,
      }, svg).textContent = text;
    }
  };

  const near = new IntersectionObserver(entries => {
    for (const entry of entries) {
      entry.target.visible = entry.isIntersecting;
      if (entry.isIntersecting) draw(entry.target);
    }
  }, { rootMargin: "600px" });
  document.querySelectorAll(".sheet").forEach(sheet => near.observe(sheet));
  document.querySelectorAll("[name=layer]").forEach(radio => radio.addEventListener("change", () => {
    layer = radio.value;
    release();
    document.querySelectorAll(".sheet").forEach(sheet => sheet.visible && draw(sheet));
  }));

  // ---- what is under the pointer, in picture and text ----------------------------------------------------------------
  let held = [];
  const release = () => {
    held.forEach(item => item.classList.remove("now"));
    held = [];
    tip.hidden = true;
  };
  const hold = (polygon, x, y) => {
    release();
    const { text, percent, what, line, cells } = polygon.shape;
    held = [polygon];
    const span = line === undefined ? null : polygon.closest(".spread").querySelector(`.reading [data-line="${line}"]`);
    if (span) held.push(span);
    held.forEach(item => item.classList.add("now"));
    const strong = document.createElement("b"), more = document.createElement("span");
    strong.textContent = text;
    strong.dir = "auto";
    more.textContent = cells ? what : `confidence ${(percent / 100).toFixed(2)} · ${what}`;
    tip.replaceChildren(strong, more);
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - box.width - 6))}px`;
    tip.style.top = `${y + 20 + box.height > innerHeight ? y - box.height - 12 : y + 18}px`;
  };
  document.addEventListener("pointermove", event => {
    if (event.target.shape) hold(event.target, event.clientX, event.clientY);
    else if (held.length && !event.target.closest?.("[data-line]")) release();
  });
  document.addEventListener("pointerover", event => {
    const span = event.target.closest?.(".reading [data-line]");
    if (!span) return;
    const boxes = (span.closest(".spread").querySelector(".sheet svg").boxes || []).filter(box => String(box.shape.line) === span.dataset.line);
    release();
    held = [span, ...boxes];
    held.forEach(item => item.classList.add("now"));
  });
  document.addEventListener("keydown", event => {
    const svg = event.target;
    if (event.key === "Escape") release();
    if (!svg.boxes?.length || !event.key.startsWith("Arrow")) return;
    event.preventDefault();
    const step = event.key === "ArrowRight" || event.key === "ArrowDown" ? 1 : -1;
    svg.at = ((svg.at ?? (step > 0 ? -1 : 0)) + step + svg.boxes.length) % svg.boxes.length;
    svg.boxes[svg.at].scrollIntoView({ block: "nearest" });
    const box = svg.boxes[svg.at].getBoundingClientRect();
    hold(svg.boxes[svg.at], box.left, box.bottom);
  });
  document.addEventListener("focusout", event => event.target.boxes && release());

  // ---- pages and evidence --------------------------------------------------------------------------------------------
  const turn = (asset, page) => {
    const spreads = [...asset.querySelectorAll(".spread")];
    if (!spreads.some(spread => spread.dataset.page === page)) return null;
    for (const spread of spreads) spread.hidden = spread.dataset.page !== page;
    for (const button of asset.querySelectorAll(".pager button")) button.setAttribute("aria-pressed", button.dataset.page === page);
    const shown = spreads.find(spread => !spread.hidden);
    draw(shown.querySelector(".sheet"));
    return shown;
  };
  document.querySelectorAll(".asset").forEach(asset => {
    const first = asset.querySelector(".spread");
    if (first) turn(asset, first.dataset.page);
    asset.querySelectorAll(".pager button").forEach(button => button.addEventListener("click", () => turn(asset, button.dataset.page)));
    asset.querySelectorAll(".chip[data-page]").forEach(chip => chip.addEventListener("click", () => {
      const spread = turn(asset, chip.dataset.page);
      if (!spread) return;
      const mark = spread.querySelector(`.mark[data-quad="${chip.dataset.quad}"]`);
      (mark || spread).scrollIntoView({ block: "center" });
      mark?.classList.remove("flash");
      requestAnimationFrame(() => mark?.classList.add("flash"));
    }));
  });

  // ---- recordings ----------------------------------------------------------------------------------------------------
  document.querySelectorAll(".recording").forEach(recording => {
    const audio = recording.querySelector("audio"), length = Number(recording.dataset.duration);
    const rows = [...recording.querySelectorAll(".transcript li")];
    const list = recording.querySelector(".transcript");
    const chunks = [...recording.querySelectorAll(".chunk")].sort((one, other) => one.dataset.chunk - other.dataset.chunk);
    const light = (number, scroll) => {
      rows.forEach((row, i) => row.classList.toggle("now", i === number));
      chunks.forEach((chunk, i) => chunk.classList.toggle("now", i === number));
      if (scroll && rows[number]) list.scrollTo({ top: rows[number].offsetTop - list.offsetTop - 40 });
    };
    const go = seconds => {
      if (!audio) return;
      audio.currentTime = seconds;
      audio.play().catch(() => {});
    };
    for (const item of [...chunks, ...rows]) {
      item.addEventListener("pointerenter", () => light(Number(item.dataset.chunk), item.matches(".chunk")));
      item.addEventListener("focusin", () => light(Number(item.dataset.chunk), item.matches(".chunk")));
    }
    for (const item of [...chunks, ...recording.querySelectorAll(".when")])
      item.addEventListener("click", () => go(Number(item.dataset.start ?? item.closest("li").dataset.start)));
    audio?.addEventListener("timeupdate", () => {
      recording.classList.add("playing");
      recording.querySelector(".timeline").style.setProperty("--at", audio.currentTime / length);
      const number = rows.findIndex(row => audio.currentTime >= row.dataset.start && audio.currentTime < row.dataset.end);
      if (number >= 0) light(number, true);
    });
    recording.closest(".asset").querySelectorAll(".chip[data-start]").forEach(chip => {
      const said = rows.filter(row => row.dataset.end > Number(chip.dataset.start) && row.dataset.start < Number(chip.dataset.end));
      said.forEach(row => row.classList.add("mark"));
      chip.addEventListener("click", () => {
        if (said.length) light(Number(said[0].dataset.chunk), true);
        recording.scrollIntoView({ block: "center" });
        go(Number(chip.dataset.start));
      });
    });
  });

  // ---- filter and theme ----------------------------------------------------------------------------------------------
  const assets = [...document.querySelectorAll(".asset")], shown = document.getElementById("shown");
  const plain = text => text.normalize("NFKD").replace(/\p{Mn}/gu, "").toLowerCase();
  const filter = document.getElementById("filter");
  filter.addEventListener("input", () => {
    const wanted = plain(filter.value.trim());
    let count = 0;
    for (const asset of assets) {
      asset.haystack ??= plain(asset.textContent);
      asset.hidden = !asset.haystack.includes(wanted);
      count += !asset.hidden;
    }
    shown.textContent = wanted ? `${count} of ${assets.length}` : "";
  });
  const root = document.documentElement;
  const remember = theme => { try { localStorage.setItem("interlace-theme", theme); } catch { /* file: pages may not store */ } };
  try { const stored = localStorage.getItem("interlace-theme"); if (stored) root.dataset.theme = stored; } catch { /* as above */ }
  document.getElementById("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    remember(root.dataset.theme);
  });
})();
