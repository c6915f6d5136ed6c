"""A real Prometheus that scrapes one service each second."""

import contextlib
import os
import subprocess
from pathlib import Path

import httpx
import yaml

from tests.support.front_end import free_port
from tests.support.service import ROOT
from tests.support.waiting import wait_for

ALERTS = ROOT / "deploy/prometheus/alerts.yaml"
#: What is counted has been told, scraped and can be asked for within this.
SEEN_WITHIN_S = 60


def program(name):
    """The path of `prometheus` or `promtool`; `make test-seen` says where they are."""
    return Path(os.environ.get("PROMETHEUS", ROOT / ".prometheus")) / name


class Prometheus:
    """The server, with the alerts of `deploy/`, as `prometheus.yml` there sets it up."""

    def __init__(self, directory, service, key):
        self._port = free_port()
        self._log = directory / "prometheus.log"
        (directory / "key").write_text(key)
        configuration = yaml.safe_load((ALERTS.parent / "prometheus.yml").read_text())
        configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        configuration["rule_files"] = [str(ALERTS)]
        (job,) = configuration["scrape_configs"]
        job["authorization"] = {"credentials_file": str(directory / "key")}
        job["static_configs"] = [{"targets": [f"127.0.0.1:{service.port}"]}]
        file = directory / "prometheus.yml"
        file.write_text(yaml.safe_dump(configuration))
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    program("prometheus"),
                    f"--config.file={file}",
                    f"--storage.tsdb.path={directory / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{self._port}", timeout=10)

    def __enter__(self):
        wait_for(lambda: self._process.poll() is not None or self._is_ready(), 30)
        assert self._process.poll() is None, self._log.read_text()
        # It looks for what to scrape every five seconds.
        wait_for(lambda: self.value("sum(up)") == 1, SEEN_WITHIN_S)
        return self

    def __exit__(self, *_):
        self._http.close()
        self._process.terminate()
        self._process.wait(10)

    def _is_ready(self):
        with contextlib.suppress(httpx.TransportError):
            return self._http.get("/-/ready").status_code == 200
        return False

    def get(self, path, **query):
        """The data of an answer of its API."""
        answer = self._http.get(f"/api/v1/{path}", params=query).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression):
        """(labels, value) of each result."""
        return [
            (result["metric"], float(result["value"][1]))
            for result in self.get("query", query=expression)["result"]
        ]

    def value(self, expression):
        """The value of an expression that has one result at most; 0 where it has none."""
        results = self.query(expression)
        assert len(results) <= 1, results
        return results[0][1] if results else 0.0

    def await_value(self, expression, value):
        """Wait until an expression has this value, and look that it is not exceeded."""
        wait_for(lambda: self.value(expression) >= value, SEEN_WITHIN_S)
        assert self.value(expression) == value, expression
