// The page: collects files and a question, asks, and shows the answer as it comes.
import { ask, body, curl, part, python } from "./chat.js";
import { element, show } from "./seen.js";

const $ = (id) => document.getElementById(id);
const EXAMPLE = {
  type: "object",
  properties: { title: { type: "string" }, date: { type: ["string", "null"] }, total: { type: ["number", "null"] } },
  required: ["title", "date", "total"],
  additionalProperties: false,
};
const MODES = {
  ask: "Ask a question",
  ocr: "Read the text",
  speech_to_text: "Transcribe",
  object_detection: "Find objects",
  gui_detection: "Find interface elements",
};
const files = [];
let model = "interlace", earlier = [], running = null;

// -- what is asked ---------------------------------------------------------------------------------------------------
const mode = () => document.querySelector("#modes input:checked")?.value ?? "ask";

function modes(tasks) {
  for (const name of ["ask", ...tasks]) {
    const input = element("input", { type: "radio", name: "mode", value: name, checked: name === "ask", onchange: settle });
    $("modes").append(element("label", {}, input, element("span", { textContent: MODES[name] ?? name })));
  }
}

function settle() {
  const asking = mode() === "ask" || mode().endsWith("_detection");
  $("questions").hidden = !asking;
  $("shaping").hidden = mode() !== "ask";
  $("go").textContent = mode() === "ask" ? "Ask" : "Go";
}

function add(list) {
  for (const file of list) files.push(file);
  earlier = [];
  list_files();
}

function list_files() {
  $("files").replaceChildren(
    ...files.map((file, index) => {
      const row = element("li");
      if (file.type.startsWith("image/")) row.append(element("img", { src: URL.createObjectURL(file), alt: "" }));
      row.append(element("span", { textContent: file.name, title: file.name }));
      const remove = () => { files.splice(index, 1); earlier = []; list_files(); $("pick").focus(); };
      row.append(element("button", { type: "button", textContent: "×", ariaLabel: `Remove ${file.name}`, onclick: remove }));
      return row;
    }),
  );
}

function schema() {
  const text = $("schema").value.trim();
  $("schema-said").textContent = "";
  if (mode() !== "ask" || !text || !$("shaping").open) return null;
  try {
    return JSON.parse(text);
  } catch (error) {
    $("schema-said").textContent = `This is not JSON: ${error.message}`;
    throw error;
  }
}

// -- asking ----------------------------------------------------------------------------------------------------------
async function send(event) {
  event.preventDefault();
  if (running) return;
  $("trouble").textContent = "";
  let shape;
  try { shape = schema(); } catch { $("schema").focus(); return; }
  const question = $("questions").hidden ? "" : $("question").value.trim();
  if (!question && !shape && mode() === "ask") return complain("Write a question first.", $("question"));
  if (!files.length && mode() !== "ask") return complain("Choose a file first.", $("pick"));
  running = new AbortController();
  busy(true);
  const sent = [...files], key = $("key").value;
  try {
    const parts = earlier.length ? [] : await Promise.all(sent.map(part));
    const request = body({ model, mode: mode(), question, parts, schema: shape, earlier });
    begin(question || MODES[mode()] || "");
    const told = (whole) => progress(whole, mode());
    const whole = await ask(request, key, running.signal, told);
    finish(whole, request, sent, key);
    if (mode() === "ask") earlier = [...request.messages, { role: "assistant", content: whole.text }];
    $("fresh").hidden = !earlier.length;
    $("said").textContent = "The answer is complete.";
  } catch (error) {
    if (error.name === "AbortError") $("said").textContent = "Stopped.";
    else complain(error.message, error.status === 401 ? $("key") : null);
  } finally {
    running = null;
    busy(false);
  }
}

function complain(message, field) {
  $("trouble").textContent = message;
  if (field?.id === "key") $("access").open = true;
  field?.focus();
}

function busy(on) {
  $("go").disabled = on;
  $("stop").hidden = !on;
  $("answer").setAttribute("aria-busy", String(on));
  if (on) $("said").textContent = files.length && !earlier.length ? "Reading what you gave…" : "Thinking…";
}

function begin(question) {
  $("result").hidden = false;
  $("asked").textContent = question;
  for (const id of ["answer", "beside", "raw"]) $(id).textContent = "";
  $("values").hidden = true;
  $("answer").hidden = false;
  if (!earlier.length) $("seen").replaceChildren();
  if (innerWidth <= 900) $("result").scrollIntoView();
}

function progress(whole, what) {
  if (what === "ask") $("answer").textContent = whole.text;
}

// -- showing ---------------------------------------------------------------------------------------------------------
let shown = { light() {}, clear() {}, mark() {} };

function finish(whole, request, sent, key) {
  const task = request.messages[0].role === "system" ? JSON.parse(whole.text) : null;
  const seen = task
    ? (task.results ?? [task]).map((item, index) => ({ name: item.name === "speech_to_text" ? "stt" : item.name, result: item.result, file: sent[index] }))
    : whole.precontext.map((item) => ({ ...item, file: sent[item.file] }));
  if (seen.length || !earlier.length) shown = show($("seen"), seen, () => key);
  $("answer").hidden = Boolean(task);
  if (!task) values(whole);
  const facts = [];
  if (whole.confidence !== undefined) facts.push(`confidence ${Math.round(whole.confidence * 100)} %`);
  if (whole.usage?.completion_tokens) facts.push(`${whole.usage.prompt_tokens} tokens read, ${whole.usage.completion_tokens} written`);
  const weights = Object.values(whole.active_parameters ?? {}).reduce((a, b) => a + b, 0);
  if (weights) facts.push(`${(weights / 1e6).toFixed(1)} M parameters used`);
  if (whole.finish === "length") facts.push("cut at the longest answer");
  if (whole.note) facts.push(whole.note);
  $("beside").textContent = facts.join(" · ");
  const { text, ...rest } = whole;
  $("raw").textContent = JSON.stringify({ content: task ?? text, ...rest }, null, 2);
  const names = request.messages.flatMap((m) => (Array.isArray(m.content) ? m.content : [])).filter((p) => p.type === "file").map((p) => p.file.filename);
  const base = new URL(".", location.href).href;
  $("curl").textContent = curl(request, names, base, Boolean(key));
  $("python").textContent = python(request, names, base, Boolean(key));
}

function values(whole) {
  const leaves = (whole.evidence ?? []).filter((item) => item.path);
  const quoted = (whole.evidence ?? []).filter((item) => !item.path).flatMap((item) => item.places ?? []);
  const rows = leaves.map((leaf) => {
    const places = leaf.places ?? [];
    const where = element("td");
    if (places.length) where.append(...places.map((place) => chip(place)));
    else where.append(element("span", { className: "note", textContent: leaf.value === null || typeof leaf.value === "boolean" ? "—" : "not in the input" }));
    const meter = element("i");
    meter.style.width = `${Math.round(leaf.confidence * 100)}%`;
    const sure = element("td", {}, element("span", { className: "meter" }, meter), `${Math.round(leaf.confidence * 100)} %`);
    const name = leaf.path.slice(1).replaceAll("/", " › ").replaceAll("~1", "/").replaceAll("~0", "~");
    const row = element("tr", { className: "leaf" }, element("th", { scope: "row", textContent: name }), element("td", { className: "value", textContent: String(leaf.value) }), sure, where);
    row.addEventListener("pointerenter", () => { row.classList.add("now"); shown.light(places, false); });
    row.addEventListener("pointerleave", () => { row.classList.remove("now"); shown.clear(); });
    return row;
  });
  const box = $("values");
  box.replaceChildren();
  if (rows.length) {
    const head = element("tr", {}, ...["Value of", "Value", "Confidence", "Where it was read"].map((text) => element("th", { scope: "col", textContent: text })));
    box.append(element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)));
  } else if (quoted.length) {
    box.append(element("p", { className: "row" }, element("span", { className: "note", textContent: "Read at" }), ...quoted.map((place) => chip(place))));
  }
  box.hidden = !box.childElementCount;
  $("answer").hidden = Boolean(rows.length);
  shown.mark([...leaves.flatMap((leaf) => leaf.places ?? []), ...quoted]);
}

function chip(place) {
  const at = place.timestamp ? `${place.timestamp[0].toFixed(1)} s${place.speaker ? `, ${place.speaker}` : ""}` : `page ${place.page}`;
  const button = element("button", { type: "button", className: "chip", textContent: at, title: place.text });
  button.addEventListener("pointerenter", () => shown.light([place], false));
  button.addEventListener("focus", () => shown.light([place], false));
  button.addEventListener("blur", () => shown.clear());
  button.addEventListener("click", () => { select("seen"); shown.light([place], true); });
  return button;
}

// -- wiring ----------------------------------------------------------------------------------------------------------
const TABS = ["seen", "json", "code"];

function select(name) {
  for (const tab of TABS) {
    const on = tab === name;
    $(`tab-${tab}`).setAttribute("aria-selected", String(on));
    $(`tab-${tab}`).tabIndex = on ? 0 : -1;
    $(tab).hidden = !on;
  }
}

TABS.forEach((tab, index) => {
  $(`tab-${tab}`).onclick = () => select(tab);
  $(`tab-${tab}`).onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = TABS[(index + step + TABS.length) % TABS.length];
    select(next);
    $(`tab-${next}`).focus();
  };
});
for (const button of document.querySelectorAll("[data-copy]")) {
  button.onclick = async () => {
    await navigator.clipboard.writeText($(button.dataset.copy).textContent);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  };
}
$("ask").onsubmit = send;
$("stop").onclick = () => running?.abort();
$("fresh").onclick = () => { earlier = []; $("result").hidden = true; $("fresh").hidden = true; $("said").textContent = ""; $("question").focus(); };
$("example").onclick = () => { $("schema").value = JSON.stringify(EXAMPLE, null, 2); };
$("pick").onchange = () => { add($("pick").files); $("pick").value = ""; };
$("question").onkeydown = (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("ask").requestSubmit(); };
addEventListener("dragover", (event) => { event.preventDefault(); $("drop").classList.add("over"); });
addEventListener("dragleave", (event) => { if (!event.relatedTarget) $("drop").classList.remove("over"); });
addEventListener("drop", (event) => { event.preventDefault(); $("drop").classList.remove("over"); add(event.dataTransfer.files); });
addEventListener("paste", (event) => { if (event.clipboardData.files.length) add(event.clipboardData.files); });

const health = await (await fetch("health")).json();
model = health.model;
modes(health.tasks);
settle();
