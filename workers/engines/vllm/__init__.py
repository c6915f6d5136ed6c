"""vLLM: its asynchronous engine inside a worker of ours."""
