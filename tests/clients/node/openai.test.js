// The official client of OpenAI for JavaScript.
import assert from "node:assert/strict";
import { test } from "node:test";

import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

import {
  HELLO, TOO_LONG, answer, key, model, questions, real, scripted, usedUpKey, weatherTool,
} from "./service.js";

const client = new OpenAI({ baseURL: real, apiKey: key });
const scriptedClient = new OpenAI({ baseURL: scripted, apiKey: key, maxRetries: 0 });
const SHORT = { model, messages: HELLO, temperature: 0, max_tokens: 16 };
const City = z.object({ name: z.string().max(12), inhabitants: z.int().min(0).max(99_999_999) });
const PARAMETERS = {
  type: "object",
  properties: { city: { type: "string", enum: ["Paris", "Rome"] } },
  required: ["city"],
  additionalProperties: false,
};

test("a chat", async () => {
  const completion = await client.chat.completions.create(SHORT);
  assert.ok(completion.choices[0].message.content);
  assert.ok(completion.usage.completion_tokens > 0);
});

test("a stream", async () => {
  const stream = await client.chat.completions.create({ ...SHORT, stream: true });
  let text = "";
  for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
  assert.ok(text);
});

test("a response that goes on, as a stream", async () => {
  const first = await client.responses.create({ model, input: "Name a city.", max_output_tokens: 8 });
  assert.ok(first.output_text);
  const stream = await client.responses.create({
    model, input: "And a river?", previous_response_id: first.id, max_output_tokens: 8, stream: true,
  });
  const numbers = [];
  let last;
  for await (last of stream) numbers.push(last.sequence_number);
  assert.deepEqual(numbers, [...numbers.keys()]);
  assert.ok(["response.completed", "response.incomplete"].includes(last.type));
});

test("an object of a schema", async () => {
  const completion = await client.chat.completions.parse({
    model,
    messages: HELLO,
    temperature: 0,
    response_format: zodResponseFormat(City, "city"),
  });
  assert.ok(City.safeParse(completion.choices[0].message.parsed).success);
});

test("a completion of a text", async () => {
  const { model, temperature, max_tokens } = SHORT;
  const completion = await client.completions.create({
    model, temperature, max_tokens, prompt: "Once upon a time",
  });
  assert.ok(completion.choices[0].text);
});

test("a tool that must be called", async () => {
  const { asked, getWeather } = weatherTool();
  const tools = [{
    type: "function",
    function: { name: "get_weather", parameters: PARAMETERS, strict: true },
  }];
  const first = await client.chat.completions.create({
    ...SHORT, max_tokens: 100, tools, tool_choice: "required",
  });
  const { message, finish_reason } = first.choices[0];
  assert.equal(finish_reason, "tool_calls");
  const [call] = message.tool_calls;
  const content = getWeather(JSON.parse(call.function.arguments));
  const messages = [...HELLO, message, { role: "tool", tool_call_id: call.id, content }];
  const last = await client.chat.completions.create({ ...SHORT, messages });
  assert.ok(last.choices[0].message.content);
  assert.equal(asked.length, 1);
});

for (const stream of [false, true]) {
  test(`a loop, stream: ${stream}`, async () => {
    const { asked, getWeather } = weatherTool();
    const runner = scriptedClient.chat.completions.runTools({
      model,
      messages: [{ role: "user", content: questions.oneCall }],
      stream,
      tools: [{
        type: "function",
        function: {
          name: "get_weather",
          parse: JSON.parse,
          function: getWeather,
          parameters: PARAMETERS,
        },
      }],
    });
    assert.equal(await runner.finalContent(), answer);
    assert.deepEqual(asked, ["Paris"]);
    const roles = runner.messages.map((message) => message.role);
    assert.deepEqual(roles, ["user", "assistant", "tool", "assistant"]);
  });
}

test("a wrong key", async () => {
  const wrong = new OpenAI({ baseURL: real, apiKey: "wrong" });
  await assert.rejects(wrong.chat.completions.create(SHORT), OpenAI.AuthenticationError);
});

test("too many requests", async () => {
  const spent = new OpenAI({ baseURL: scripted, apiKey: usedUpKey, maxRetries: 0 });
  await assert.rejects(spent.chat.completions.create(SHORT), (error) => {
    assert.ok(error instanceof OpenAI.RateLimitError);
    assert.ok(Number(error.headers.get("retry-after")) > 0);
    return true;
  });
});

test("a prompt that is too long", async () => {
  const long = { ...SHORT, messages: [{ role: "user", content: TOO_LONG }] };
  await assert.rejects(client.chat.completions.create(long), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.match(error.message, /maximum context length/);
    return true;
  });
});

// pytest looks whether the service notices.
test("a stream that is left", async () => {
  const stream = await scriptedClient.chat.completions.create({
    model, messages: [{ role: "user", content: questions.endless }], stream: true,
  });
  for await (const chunk of stream) {
    assert.ok(chunk.id);
    break;
  }
});
