"""Services that tests share: each is started once for the whole run."""

import contextlib
import signal
import threading

import pytest

from presets.catalogue import SHIPPED, Catalogue
from tests.support.receiver import Receiver
from tests.support.service_fixture import MANY, SCRIPTED, service_fixture

with contextlib.suppress(ImportError):  # the suites that have environments of their own lack it
    import hypothesis

    # An example that takes long on a busy machine is no error: suites run side by side.
    hypothesis.settings.register_profile("no deadline", deadline=None)
    hypothesis.settings.load_profile("no deadline")

# What a shell starts in the background ignores Ctrl-C, and so would every process that a test
# starts and sends one to.
signal.signal(signal.SIGINT, signal.default_int_handler)

#: Models of the shipped catalogue whose files are links to the shipped model.
LINKED = ("phi-4", "deepseek-r1-7b", "qwen2.5-7b", "llama-3.2-3b")

service = service_fixture(
    "The service with the shipped model, four answers at once.",
    scope="session",
    INFERENCE_MAX_CONCURRENT_PER_MODEL="4",
    **MANY,
)
scripted_service = service_fixture(
    "The service with the scripted engine, eight answers at once.",
    scope="session",
    INFERENCE_MAX_CONCURRENT_PER_MODEL="8",
    INFERENCE_WEBHOOK_SECRET="a secret of some length",
    INFERENCE_WEBHOOK_NETWORKS="127.0.0.0/8",
    **SCRIPTED,
    **MANY,
)
narrow_service = service_fixture(
    "A scripted service of the module's own, one answer at a time; its workers may be killed.",
    **SCRIPTED,
)


@pytest.fixture
def receiver():
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def models_dir(tmp_path_factory):
    """Four of the catalogue's models, each the shipped file under another name."""
    directory = tmp_path_factory.mktemp("models")
    catalogue = Catalogue.load(None, "llamacpp")
    for model in LINKED:
        (directory / model).mkdir()
        file = directory / model / catalogue.get(model).gguf.file
        file.symlink_to(catalogue.get(SHIPPED).path)
    return directory
