"""What callers are shown: OpenAI bodies, jobs, models, SSE frames, WebSocket messages."""
