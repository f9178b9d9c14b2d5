// The official openai client for JavaScript against the endpoint: BASE_URL, API_KEY, PICTURE (a data: URI).
import assert from "node:assert/strict";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.env.BASE_URL, apiKey: process.env.API_KEY, maxRetries: 0 });
const model = "interlace";
const messages = [{ role: "user", content: "hi" }];

const whole = await client.chat.completions.create({ model, messages, max_tokens: 8 });
assert.equal(whole.object, "chat.completion");
assert.equal(whole.choices[0].message.role, "assistant");
assert.equal(whole.usage.total_tokens, whole.usage.prompt_tokens + whole.usage.completion_tokens);

let text = "", usage = null;
for await (const chunk of await client.chat.completions.create({ model, messages, max_tokens: 8, stream: true, stream_options: { include_usage: true } })) {
  assert.equal(chunk.object, "chat.completion.chunk");
  text += chunk.choices[0]?.delta.content ?? "";
  usage = chunk.usage ?? usage;
}
assert.equal(text, whole.choices[0].message.content);
assert.deepEqual(usage, whole.usage);

const runner = client.chat.completions.stream({ model, messages, max_tokens: 8 });
assert.equal((await runner.finalChatCompletion()).choices[0].message.content, text);

const seen = await client.chat.completions.create({
  model,
  messages: [
    { role: "system", content: "<task>ocr</task>" },
    { role: "user", content: [{ type: "image_url", image_url: { url: process.env.PICTURE } }] },
  ],
});
const task = JSON.parse(seen.choices[0].message.content);
assert.equal(task.name, "ocr");
assert.match(task.result.extracted_text, /TOTAL 144\.02/);

const tools = [{ type: "function", function: { name: "f", parameters: { type: "object", additionalProperties: false } } }];
const called = await client.chat.completions.create({ model, messages, tools, tool_choice: "required", max_tokens: 40 });
assert.equal(called.choices[0].finish_reason, "tool_calls");
assert.equal(called.choices[0].message.content, null);
assert.equal(called.choices[0].message.tool_calls[0].function.name, "f");

await assert.rejects(client.chat.completions.create({ model, messages, temperature: 9 }), (error) => error instanceof OpenAI.BadRequestError && error.param === "temperature");
await assert.rejects(new OpenAI({ baseURL: process.env.BASE_URL, apiKey: "wrong-key", maxRetries: 0 }).models.list(), OpenAI.AuthenticationError);
assert.deepEqual((await client.models.list()).data.map((m) => m.id), ["interlace", "interfaze-beta", "interfaze-1-lite"]);
console.log("all well");
