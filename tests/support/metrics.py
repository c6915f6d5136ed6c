"""What a scrape of `/metrics` says."""

from types import SimpleNamespace

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from workers.metrics import totals
from workers.metrics.series import counted


class Scrape:
    """The samples of one scrape."""

    def __init__(self, text):
        self.families = list(text_string_to_metric_families(text))
        self.samples = [sample for family in self.families for sample in family.samples]

    def value(self, name, **labels):
        """The sum of the samples of this name that have these labels; 0 where there are none."""
        return sum(
            sample.value
            for sample in self.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def names(self):
        """The names of all families, as rules and dashboards spell their samples."""
        endings = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
        return {
            f"{family.name}{ending}"
            for family in self.families
            for ending in endings.get(family.type, ("",))
        }


def scrape(service):
    """What the front end of a running service shows."""
    answer = service.get("/metrics")
    assert answer.status_code == 200, answer.text
    return Scrape(answer.text)


def scrape_of(metrics):
    """What a service would show that has this one process."""
    sums = [(series.encoded(), value) for series, value in counted(metrics.registry)]
    families = list(totals.families(sums))
    return Scrape(generate_latest(SimpleNamespace(collect=lambda: families)).decode())
