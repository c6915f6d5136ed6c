"""The fixture that starts a service: once for a test, a module or the whole run."""

import pytest

from tests.support.service import UP, Service

#: What most tests run on: no model is loaded, and texts come as they are asked for.
SCRIPTED = {"INFERENCE_BACKEND": "scripted"}
#: Tests that share a service are not to refuse each other.
MANY = {"INFERENCE_MAX_CONCURRENT_REQUESTS": "200"}


def service_fixture(doc, *, scope="module", command=UP, after_start=None, **options):
    """A fixture whose service runs as long as its scope.

    `options` are the service's: settings by name, and how long its start may take. One that is a
    function is called with pytest's `request`, where a setting needs another fixture.
    `after_start` is called with the service that is ready.
    """

    @pytest.fixture(scope=scope)
    def running(request, tmp_path_factory):
        given = {
            name: value(request) if callable(value) else value for name, value in options.items()
        }
        with Service(tmp_path_factory.mktemp("service"), command=command, **given) as service:
            if after_start is not None:
                after_start(service)
            yield service

    running.__doc__ = doc
    return running
