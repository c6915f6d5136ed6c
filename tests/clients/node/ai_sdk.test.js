// Vercel's AI SDK, over its providers for OpenAI and for servers that are compatible.
import assert from "node:assert/strict";
import { test } from "node:test";

import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { Output, ToolLoopAgent, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

import {
  TOO_LONG, answer, key, model, questions, real, scripted, usedUpKey, weatherTool,
} from "./service.js";

const PROVIDERS = {
  "@ai-sdk/openai-compatible": (baseURL, apiKey) =>
    createOpenAICompatible({ name: "service", baseURL, apiKey, includeUsage: true })(model),
  "with structured outputs": (baseURL, apiKey) =>
    createOpenAICompatible({
      name: "service", baseURL, apiKey, supportsStructuredOutputs: true,
    })(model),
  "@ai-sdk/openai": (baseURL, apiKey) => createOpenAI({ baseURL, apiKey }).chat(model),
};
const City = z.object({ name: z.string().max(12), inhabitants: z.int().min(0).max(99_999_999) });
const SHORT = { temperature: 0, maxOutputTokens: 100, maxRetries: 0 };

function weather() {
  const { asked, getWeather } = weatherTool();
  const get_weather = tool({
    description: "Tell the weather in a city.",
    inputSchema: z.object({ city: z.enum(["Paris", "Rome"]) }),
    execute: getWeather,
  });
  return { asked, tools: { get_weather } };
}

for (const [name, open] of Object.entries(PROVIDERS)) {
  const languageModel = open(real, key);
  const scriptedModel = open(scripted, key);

  test(`${name}: a chat`, async () => {
    const result = await generateText({
      ...SHORT, model: languageModel, system: "Be brief.", prompt: "Say hello.",
    });
    assert.ok(result.text);
    assert.ok(["stop", "length"].includes(result.finishReason));
    assert.ok(result.usage.outputTokens > 0);
  });

  test(`${name}: a stream`, async () => {
    const result = streamText({ ...SHORT, model: languageModel, prompt: "Say hello." });
    let text = "";
    for await (const piece of result.textStream) text += piece;
    assert.ok(text);
    assert.ok(["stop", "length"].includes(await result.finishReason));
  });

  test(`${name}: an object of a schema`, async () => {
    // Where the provider does not know of schemas it asks for any object, and shows the schema.
    const object = { name: "Paris", inhabitants: 2_000_000 };
    const byText = name === "@ai-sdk/openai-compatible";
    const result = await generateText({
      model: byText ? scriptedModel : languageModel,
      maxRetries: 0,
      output: Output.object({ schema: City }),
      prompt: byText ? JSON.stringify({ scripted: { text: JSON.stringify(object) } }) : "A city.",
    });
    assert.ok(City.safeParse(result.output).success);
  });

  test(`${name}: a tool that must be called`, async () => {
    const { asked, tools } = weather();
    const result = await generateText({
      ...SHORT,
      model: languageModel,
      tools,
      toolChoice: "required",
      stopWhen: stepCountIs(2),
      prepareStep: ({ stepNumber }) => (stepNumber > 0 ? { toolChoice: "none" } : {}),
      prompt: "How is the weather in Paris?",
    });
    assert.ok(asked.length > 0);
    assert.deepEqual(result.steps[0].finishReason, "tool-calls");
    assert.equal(result.steps.length, 2);
    assert.ok(result.text);
  });

  test(`${name}: a loop`, async () => {
    const { asked, tools } = weather();
    const agent = new ToolLoopAgent({ model: scriptedModel, tools });
    const result = await agent.generate({ prompt: questions.oneCall });
    assert.deepEqual(asked, ["Paris"]);
    assert.equal(result.text, answer);
    assert.deepEqual(result.steps.map((step) => step.finishReason), ["tool-calls", "stop"]);
  });

  test(`${name}: a streamed loop`, async () => {
    const { asked, tools } = weather();
    const result = streamText({
      model: scriptedModel, tools, stopWhen: stepCountIs(5), prompt: questions.oneCall,
    });
    const kinds = [];
    for await (const part of result.fullStream) kinds.push(part.type);
    assert.deepEqual(asked, ["Paris"]);
    assert.ok(kinds.includes("tool-input-delta"));
    assert.ok(!kinds.includes("error"));
    assert.equal(await result.text, answer);
  });

  for (const [what, status, service, apiKey, prompt] of [
    ["a wrong key", 401, real, "wrong", "Say hello."],
    ["too many requests", 429, scripted, usedUpKey, "Say hello."],
    ["a prompt that is too long", 400, real, key, TOO_LONG],
  ]) {
    test(`${name}: ${what}`, async () => {
      const asking = generateText({ ...SHORT, model: open(service, apiKey), prompt });
      await assert.rejects(asking, (error) => {
        assert.equal(error.statusCode, status);
        assert.equal(error.isRetryable, status === 429);
        if (status === 429) assert.ok(Number(error.responseHeaders["retry-after"]) > 0);
        if (status === 400) assert.match(error.message, /maximum context length/);
        return true;
      });
    });
  }

  // pytest looks whether the service notices.
  test(`${name}: a stream that is left`, async () => {
    const leaving = new AbortController();
    const result = streamText({
      model: scriptedModel, prompt: questions.endless, abortSignal: leaving.signal,
    });
    for await (const piece of result.textStream) {
      assert.ok(piece);
      leaving.abort();
      break;
    }
  });
}
