"""The engines under test, each with what the suite must know of it."""

import dataclasses
import json
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from presets.catalogue import Catalogue
from workers.contract.job import Message, Priority
from workers.contract.sampling import Sampling
from workers.engines import registry
from workers.engines.base import EngineOptions, GenerationRequest

MODEL = "smollm2-135m"
#: Of the prompt cache: some 2,900 tokens of the model.
CACHE_BYTES = 64 * 2**20


#: Modules run side by side, and llama.cpp's threads wait for each other in a loop: where they are
#: more than the cores, all engines crawl.
THREADS = 1


@dataclass(frozen=True)
class Answer:
    """What one generation gave."""

    deltas: list

    @property
    def text(self):
        return "".join(delta.text for delta in self.deltas)

    @property
    def ids(self):
        return tuple(token for delta in self.deltas for token in delta.token_ids)

    @property
    def reason(self):
        return self.deltas[-1].finish_reason

    @property
    def usage(self):
        return self.deltas[-1].usage


@dataclass
class Kit:
    """One kind of engine: makes engines, and requests that it answers in a known way."""

    backend: str
    cache_dir: Path
    #: What greedy tokens are held against; None where the engine has no model.
    reference: object | None = None
    #: What a spec has instead of what the catalogue says.
    settings: dict = field(default_factory=dict)
    models_dir: Path | None = None
    #: What prompts may take on disk.
    prompt_disk_bytes: int = 0
    engines: list = field(default_factory=list)

    @property
    def real(self):
        """It has a model: text depends on sampling, and a cache keeps prefixes."""
        return self.reference is not None

    def spec(self, **changes):
        spec = Catalogue.load(self.models_dir, self.backend).get(MODEL)
        return dataclasses.replace(spec, **{**self.settings, **changes})

    def make(self, concurrency=4, **changes):
        """An engine that is not loaded, and the spec to load it with."""
        options = EngineOptions(
            concurrency=concurrency,
            cache_dir=self.cache_dir,
            threads=THREADS,
            prompt_cache_bytes=CACHE_BYTES,
            prompt_disk_bytes=self.prompt_disk_bytes,
        )
        engine = registry.create(self.backend, options)
        self.engines.append(engine)
        return engine, self.spec(**changes)

    def load(self, concurrency=4, **changes):
        """A loaded engine; closed when the test ends."""
        engine, spec = self.make(concurrency, **changes)
        engine.load(spec, lambda _fraction: None)
        return engine

    def messages(self, topic="the sea"):
        """A conversation whose answer is long; each topic has its own."""
        text = f"Tell me a long story about {topic}."
        if not self.real:
            story = f"A story of {topic} — né à Köln, 三, 🙂: "
            text = json.dumps(
                {"scripted": {"text": story, "repeat": True, "token_bytes": 3, "tokens_per_s": 500}}
            )
        return (Message("user", text),)

    def request(
        self,
        topic="the sea",
        *,
        produced=(),
        priority=Priority.NORMAL,
        messages=None,
        job="",
        owner=None,
        **sampling,
    ):
        """A request whose tokens are the most likely ones, unless said otherwise."""
        sampling = {"temperature": 0.0, "max_tokens": 32, **sampling}
        return GenerationRequest(
            id=f"test|{topic}",
            messages=messages or self.messages(topic),
            sampling=Sampling(**sampling),
            priority=priority,
            produced=tuple(produced),
            job=job,
            owner=owner,
        )

    def assert_right(self, request, answer):
        """The tokens are those of this conversation, whatever else the engine did meanwhile."""
        ids = (*request.produced, *answer.ids)
        if self.real:
            self.reference.assert_greedy(request.messages, ids)
        else:
            story = json.loads(request.messages[-1].content)["scripted"]["text"].encode()
            assert ids == tuple(place % -(-len(story) // 3) for place in range(len(ids)))


def ask(engine, request, cancelled=None):
    """The whole answer to a request."""
    return Answer(list(engine.generate(request, cancelled or threading.Event())))


def ask_all(engine, requests):
    """The answers to requests made at the same time, in their order."""
    answers = [None] * len(requests)
    errors = []

    def run(place):
        try:
            answers[place] = ask(engine, requests[place])
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(len(requests))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert None not in answers
    return answers


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """What the specs of the engines with a model have of their own."""
    from tests.support import float_model

    path = float_model.write(tmp_path_factory.mktemp("weights"), float_model.SHORT)
    return {"path": path, "requantise": None}


@pytest.fixture(scope="session")
def reference(weights):
    from tests.support.llamacpp_reference import Reference

    made = Reference(weights["path"])
    yield made
    made.close()


@pytest.fixture(scope="session", params=["scripted", "llamacpp"])
def shared_kit(request, cache_dir):
    """One for the whole run; its first engine, 16 wide, is shared by the tests."""
    if request.param == "scripted":
        return Kit(request.param, cache_dir)
    reference, weights = map(request.getfixturevalue, ("reference", "weights"))
    return Kit(request.param, cache_dir, reference, weights)


@pytest.fixture(scope="session")
def engine(shared_kit):
    """A loaded engine that answers 16 requests at once."""
    loaded = shared_kit.load(concurrency=16)
    yield loaded
    loaded.close()


@pytest.fixture(scope="session")
def llamacpp(cache_dir, reference, weights):
    """A loaded llama.cpp engine, for what only an engine with a model does."""
    loaded = Kit("llamacpp", cache_dir, reference, weights).load()
    yield loaded
    loaded.close()


@pytest.fixture(scope="session")
def real_engine(llamacpp):
    """A loaded engine that has a model."""
    return llamacpp


@pytest.fixture
def kit(shared_kit):
    """The kit; engines that a test loads with it are closed at its end."""
    fresh = dataclasses.replace(shared_kit, engines=[])
    yield fresh
    for engine in fresh.engines:
        engine.close()


@pytest.fixture
def real_kit(cache_dir, reference, weights):
    """The kit of `real_engine`, for what only an engine with a model does."""
    fresh = Kit("llamacpp", cache_dir, reference, weights)
    yield fresh
    for engine in fresh.engines:
        engine.close()


@pytest.fixture
def sense(request):
    """A test asks its model for an answer that makes sense: the first layers alone give none."""
    kits = {"shared_kit", "kit"} & set(request.fixturenames)
    if not kits or request.getfixturevalue("shared_kit").real:
        pytest.skip("asks a model for sense: make test-engines")
