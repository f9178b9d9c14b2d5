// Talks to the endpoint: builds requests, reads the stream, and says what they would be in curl and Python.

const READING = /^<precontext> ([\s\S]*?) <\/precontext>/;

/** The file as the content part that carries it. */
export async function part(file) {
  const url = await new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
  return { type: "file", file: { file_data: url.replace(/^data:;/, "data:application/octet-stream;"), filename: file.name } };
}

/** The body of a request. `earlier` are the turns before it, `schema` an object or null. */
export function body({ model, mode, question, parts, schema, earlier }) {
  const content = [...parts];
  if (question) content.unshift({ type: "text", text: question });
  const messages = [...earlier, { role: "user", content }];
  if (mode !== "ask") messages.unshift({ role: "system", content: `<task>${mode}</task>` });
  const request = { model, messages, stream: true, stream_options: { include_usage: true } };
  if (mode === "ask" && schema) {
    request.response_format = { type: "json_schema", json_schema: { name: "answer", schema } };
  }
  return request;
}

/** Ask; calls `told` with what has arrived so far, resolves to the whole. Throws an Error with `status`. */
export async function ask(request, key, signal, told) {
  const headers = { "content-type": "application/json", "x-show-additional-info": "true" };
  if (key) headers.authorization = `Bearer ${key}`;
  const response = await fetch("v1/chat/completions", { method: "POST", headers, body: JSON.stringify(request), signal });
  if (!response.ok) throw await failure(response);
  const whole = { text: "", precontext: [], evidence: [], calls: [], finish: null, usage: null };
  for await (const event of events(response.body)) {
    if (event.error) throw new Error(event.error.message);
    if (event.usage) whole.usage = event.usage;
    for (const key of ["evidence", "confidence", "note", "active_parameters", "loaded_parameters"]) if (key in event) whole[key] = event[key];
    const choice = event.choices[0];
    if (!choice) continue;
    if (choice.delta.content) {
      whole.text += choice.delta.content;
      const inline = READING.exec(whole.text);
      if (inline) {
        whole.precontext.push(...JSON.parse(inline[1]));
        whole.text = whole.text.slice(inline[0].length);
      }
    }
    if (choice.finish_reason) whole.finish = choice.finish_reason;
    told(whole);
  }
  return whole;
}

/** A page of a document as a picture, from the server. */
export async function picture(file, page, key) {
  const headers = key ? { authorization: `Bearer ${key}` } : {};
  const response = await fetch(`v1/pictures?page=${page}`, { method: "POST", headers, body: file });
  if (!response.ok) throw await failure(response);
  return URL.createObjectURL(await response.blob());
}

async function failure(response) {
  let message = `${response.status} ${response.statusText}`;
  try { message = (await response.json()).error.message; } catch { /* not ours: the status says it */ }
  return Object.assign(new Error(message), { status: response.status });
}

async function* events(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    held += value;
    const blocks = held.split("\n\n");
    held = blocks.pop();
    for (const block of blocks) {
      if (block.startsWith("data: ") && block !== "data: [DONE]") yield JSON.parse(block.slice(6));
    }
  }
}

/** The request without the bytes of its files and without streaming, as one would write it by hand. */
function shown(request, names) {
  let number = 0;
  const content = (item) => (item.type !== "file" ? item : { type: "file", file: { file_data: `@@${number}@@`, filename: names[number++] } });
  const messages = request.messages.map((m) => ({ ...m, content: Array.isArray(m.content) ? m.content.map(content) : m.content }));
  const { stream, stream_options, ...rest } = request;
  return { ...rest, messages };
}

/** A curl command that asks the same. */
export function curl(request, names, base, keyed) {
  const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  let json = quote(JSON.stringify(shown(request, names), null, 2));
  names.forEach((name, number) => {
    const read = `'"$(base64 -w0 ${quote(name)})"'`;
    json = json.replace(`"@@${number}@@"`, () => `"data:application/octet-stream;base64,${read}"`); // as it is, "$'" too
  });
  const key = keyed ? ' \\\n  -H "Authorization: Bearer $INTERLACE_API_KEY"' : "";
  return `printf '%s' ${json} |\ncurl -s ${base}v1/chat/completions -H 'Content-Type: application/json'${key} -d @-`;
}

/** Python with the official client that asks the same. */
export function python(request, names, base, keyed) {
  const { model, messages, ...rest } = shown(request, names);
  let text = literal(messages, 1);
  names.forEach((name, number) => (text = text.replace(`"@@${number}@@"`, () => `data_uri(${JSON.stringify(name)})`)));
  const helper = names.length
    ? 'import base64\n\nfrom openai import OpenAI\n\n\ndef data_uri(path):\n    with open(path, "rb") as file:\n        return "data:application/octet-stream;base64," + base64.b64encode(file.read()).decode()\n\n\n'
    : "from openai import OpenAI\n\n";
  const extra = Object.entries(rest).map(([name, value]) => `    ${name}=${literal(value, 1)},\n`).join("");
  const key = keyed ? 'os.environ["INTERLACE_API_KEY"]' : '"none"';
  return `${keyed ? "import os\n" : ""}${helper}client = OpenAI(base_url="${base}v1", api_key=${key})\nanswer = client.chat.completions.create(\n    model=${JSON.stringify(model)},\n    messages=${text},\n${extra})\nprint(answer.choices[0].message.content)\n`;
}

function literal(value, depth) {
  const pad = "    ".repeat(depth + 1), end = "    ".repeat(depth);
  if (value === null) return "None";
  if (value === true || value === false) return value ? "True" : "False";
  if (typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return value.length ? `[\n${value.map((v) => pad + literal(v, depth + 1)).join(",\n")},\n${end}]` : "[]";
  const items = Object.entries(value).map(([k, v]) => `${pad}${JSON.stringify(k)}: ${literal(v, depth + 1)}`);
  return items.length ? `{\n${items.join(",\n")},\n${end}}` : "{}";
}
