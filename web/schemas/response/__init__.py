"""OpenAI's Responses API: its requests, and the chat completions that they are."""
