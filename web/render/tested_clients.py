"""The clients that `make test-clients` tries, and their versions.

Data for docs/COMPATIBILITY.md. A test holds the versions against those that are installed for it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TestedClient:
    """One package, as its registry names it."""

    package: str
    version: str
    #: How its users reach the service with it.
    used_as: str


_PYTHON = (
    TestedClient(
        "openai", "2.54.0", '`OpenAI(base_url=".../v1")`, asynchronous too, `responses` too'
    ),
    TestedClient("anthropic", "2.14.0", '`Anthropic(base_url="...")`, without `/v1`'),
    TestedClient("langchain", "1.5.2", "`create_agent`"),
    TestedClient("langchain-openai", "1.7.4", "`ChatOpenAI`, `OpenAI`, `OpenAIEmbeddings`"),
    TestedClient(
        "llama-index-llms-openai-like",
        "0.8.1",
        "`OpenAILike(is_chat_model=True, is_function_calling_model=True)`",
    ),
    TestedClient("llama-index-core", "0.14.25", "`FunctionAgent`"),
    TestedClient("litellm", "1.106.12", "`openai/<model>`, `hosted_vllm/<model>`; its proxy"),
    TestedClient("instructor", "1.17.0", "`from_openai`"),
    TestedClient("pydantic-ai-slim", "2.31.1", "`OpenAIChatModel`"),
    TestedClient("llm", "0.32.1", "`llm openai endpoint`, `extra-openai-models.yaml`"),
)
_NODE = (
    TestedClient("openai", "6.49.0", "`new OpenAI({ baseURL })`, `runTools`, `responses`"),
    TestedClient("ai", "6.0.326", "`generateText`, `streamText`, `ToolLoopAgent`"),
    TestedClient("@ai-sdk/openai-compatible", "2.0.92", "`createOpenAICompatible`"),
    TestedClient("@ai-sdk/openai", "3.0.141", "`createOpenAI(...).chat(model)`"),
)
BY_LANGUAGE = {"Python": _PYTHON, "Node.js": _NODE}
