// Draws what the specialists saw: pages and pictures with boxes, transcripts that play.
import { picture } from "./chat.js";

const SVG = "http://www.w3.org/2000/svg";

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

const points = (b) => ["top_left", "top_right", "bottom_right", "bottom_left"].map((c) => `${b[c].x},${b[c].y}`).join(" ");
const clock = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;

/** Show all results in `panel`. `seen` is a list of {name, result, file}; returns {light(places), clear()}. */
export function show(panel, seen, key) {
  panel.replaceChildren();
  const views = seen.map((item) => {
    const view = item.result.error ? complaint(item) : item.name === "stt" ? transcript(item) : sheets(item, key);
    panel.append(view.root);
    return view;
  });
  if (!seen.length) panel.append(element("p", { className: "note", textContent: "No file was read for this answer." }));
  const clear = () => views.forEach((view) => view.clear());
  return {
    clear,
    light(places, follow) {
      clear();
      for (const place of places) views.filter((v) => !place.part_id || !v.part || v.part === place.part_id).forEach((v) => v.light(place, follow));
    },
    mark: (places) => places.forEach((place) => views.filter((v) => !v.part || v.part === place.part_id).forEach((v) => v.mark(place))),
  };
}

function frame(item, facts) {
  const root = element("div", { className: "file" }, element("h3", { textContent: item.file?.name ?? item.name }));
  root.append(element("p", { className: "facts", textContent: facts }));
  return root;
}

function complaint(item) {
  const root = frame(item, "");
  root.append(element("p", { className: "complaint", textContent: item.result.message }));
  return { root, part: item.part_id, light() {}, clear() {}, mark() {} };
}

// -- pages and pictures ----------------------------------------------------------------------------------------------
function pagesOf(result) {
  const found = result.detected_objects ?? result.gui_elements;
  if (!found) {
    return result.sections.map((s) => ({ page: s.page, width: s.width, height: s.height, boxes: s.lines.map((l) => ({ text: l.text, bounds: l.bounds, sure: l.average_confidence })) }));
  }
  return (result.pages ?? [{ page: 1 }]).map(({ page, width, height }) => ({
    page,
    width,
    height,
    boxes: found.filter((item) => (item.page ?? 1) === page).map((item) => ({ text: item.label ?? item.type, bounds: item.bounds, sure: item.confidence })),
  }));
}

function sheets(item, key) {
  const pages = pagesOf(item.result);
  if (!pages.length) {
    const root = frame(item, "text");
    root.append(element("div", { className: "reading", textContent: item.result.extracted_text ?? "nothing was found" }));
    return { root, part: item.part_id, light() {}, clear() {}, mark() {} };
  }
  const count = pages.reduce((sum, page) => sum + page.boxes.length, 0);
  const what = item.result.sections ? "lines" : "objects";
  const root = frame(item, `${pages.length} ${pages.length === 1 ? "page" : "pages"}, ${count} ${what}`);
  const pager = element("div", { className: "pager", role: "group" });
  pager.setAttribute("aria-label", "Pages");
  const views = pages.map((page) => sheet(item, page, key));
  const turn = (number) => {
    views.forEach((view, index) => (view.root.hidden = index !== number));
    [...pager.children].forEach((button, index) => button.setAttribute("aria-pressed", String(index === number)));
    views[number].open();
  };
  pages.forEach((page, index) => pager.append(element("button", { type: "button", textContent: page.page, ariaLabel: `Page ${page.page}`, onclick: () => turn(index) })));
  if (pages.length > 1) root.append(pager);
  root.append(...views.map((view) => view.root));
  turn(0);
  const at = (place) => pages.findIndex((page) => page.page === (place.page ?? 1));
  return {
    root,
    part: item.part_id,
    clear: () => views.forEach((view) => view.clear()),
    mark: (place) => place.bounds && at(place) >= 0 && views[at(place)].mark(place),
    light(place, follow) {
      const number = at(place);
      if (number < 0 || !place.bounds) return;
      if (views[number].root.hidden) turn(number);
      views[number].light(place, follow);
    },
  };
}

function sheet(item, page, key) {
  const board = element("div", { className: "sheet blank" });
  const svg = document.createElementNS(SVG, "svg");
  const reading = element("div", { className: "reading" });
  const lines = page.boxes.map((box) => {
    const line = element("p", { textContent: box.text });
    const polygon = document.createElementNS(SVG, "polygon");
    polygon.setAttribute("points", points(box.bounds));
    const both = (on) => { line.classList.toggle("now", on); polygon.classList.toggle("now", on); };
    polygon.addEventListener("pointerenter", (event) => { both(true); line.scrollIntoView({ block: "nearest" }); tip(event, `${box.text}\nconfidence ${box.sure.toFixed(2)}`); });
    polygon.addEventListener("pointerleave", () => { both(false); tip(null); });
    line.addEventListener("pointerenter", () => both(true));
    line.addEventListener("pointerleave", () => both(false));
    svg.append(polygon);
    return line;
  });
  reading.append(...lines);
  board.append(svg);
  const frameOf = (width, height) => {
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    board.style.aspectRatio = `${width} / ${height}`;
  };
  if (page.width) frameOf(page.width, page.height);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `${item.file?.name ?? item.name}, page ${page.page}, ${page.boxes.length} boxes; their texts follow`);
  const root = element("div", { className: "spread" }, board, reading);
  let opened = false;
  const marks = new Map();
  const mark = (place) => {
    const id = points(place.bounds);
    if (!marks.has(id)) {
      const polygon = document.createElementNS(SVG, "polygon");
      polygon.setAttribute("points", id);
      polygon.classList.add("mark");
      svg.append(polygon);
      marks.set(id, polygon);
    }
    return marks.get(id);
  };
  return {
    root,
    mark,
    clear: () => marks.forEach((polygon) => polygon.classList.remove("lit")),
    light(place, follow) {
      const polygon = mark(place);
      polygon.classList.add("lit");
      if (follow) polygon.scrollIntoView({ block: "center" });
    },
    async open() {
      if (opened || !item.file) return;
      opened = true;
      const image = element("img", { alt: "" });
      image.onload = () => {
        board.classList.remove("blank");
        if (!page.width) frameOf(image.naturalWidth, image.naturalHeight);
        board.prepend(image);
      };
      const fromServer = async () => {
        image.onerror = null;
        try { image.src = await picture(item.file, page.page, key()); } catch { /* the boxes stand on a blank page */ }
      };
      image.onerror = fromServer;
      if (item.file.type.startsWith("image/")) image.src = URL.createObjectURL(item.file);
      else await fromServer();
    },
  };
}

// -- recordings -----------------------------------------------------------------------------------------------------
function transcript(item) {
  const { chunks } = item.result;
  const speakers = [...new Set(chunks.map((chunk) => chunk.speaker ?? ""))];
  const end = chunks.length ? chunks[chunks.length - 1].timestamp[1] : 0;
  const root = frame(item, `${clock(end)} min of speech, ${speakers.length} ${speakers.length === 1 ? "speaker" : "speakers"}`);
  const video = item.file?.type.startsWith("video/");
  const player = element(video ? "video" : "audio", { controls: true, preload: "metadata", ariaLabel: "The recording" });
  if (item.file) { player.src = URL.createObjectURL(item.file); root.append(player); }
  const play = (at) => { player.currentTime = at; player.play().catch(() => {}); };
  const words = [], turns = [];
  for (const chunk of chunks) {
    const said = element("p");
    const parts = chunk.words ?? [{ text: chunk.text, timestamp: chunk.timestamp }];
    for (const part of parts) {
      const [from, to] = part.timestamp;
      const word = element("button", { type: "button", className: "word", textContent: part.text.trim(), title: clock(from), onclick: () => play(from) });
      words.push({ word, from, to });
      said.append(word, " ");
    }
    const who = element("b", { textContent: chunk.speaker ?? "" });
    who.style.color = `var(--v${speakers.indexOf(chunk.speaker ?? "") % 6})`;
    const turn = element("div", { className: "turn" }, element("time", { textContent: clock(chunk.timestamp[0]) }), who, said);
    turns.push({ turn, from: chunk.timestamp[0], to: chunk.timestamp[1] });
    root.append(turn);
  }
  player.addEventListener("timeupdate", () => {
    const at = player.currentTime;
    for (const { word, from, to } of words) word.classList.toggle("now", !player.paused && at >= from && at < to);
    for (const { turn, from, to } of turns) turn.classList.toggle("now", at >= from && at < to);
  });
  return {
    root,
    part: item.part_id,
    mark() {},
    clear: () => words.forEach(({ word }) => word.classList.remove("lit")),
    light(place, follow) {
      if (!place.timestamp) return;
      const lit = words.filter(({ from, to }) => from < place.timestamp[1] && to > place.timestamp[0]);
      lit.forEach(({ word }) => word.classList.add("lit"));
      if (follow && lit.length) { lit[0].word.scrollIntoView({ block: "center" }); play(place.timestamp[0]); }
    },
  };
}

export function tip(event, text) {
  const box = document.getElementById("tip");
  box.hidden = !event;
  if (!event) return;
  box.textContent = text;
  box.style.left = `${Math.min(event.clientX + 14, innerWidth - box.offsetWidth - 8)}px`;
  box.style.top = `${Math.min(event.clientY + 14, innerHeight - box.offsetHeight - 8)}px`;
}
