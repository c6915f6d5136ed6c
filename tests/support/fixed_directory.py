"""A directory that knows what a test told it."""

from workers.cluster.directory import Directory, Snapshot


class FixedDirectory(Directory):
    """Workers, orders by model, an `up` and a keeper or none, models that answered a moment ago."""

    def __init__(
        self, *workers, orders=(), supervised=False, kept=False, served=(), autoscaled=False
    ):
        self._autoscaled = autoscaled
        by_model = {order.model: order for order in orders}
        self._known = Snapshot(
            tuple(workers), frozenset(), by_model, supervised, kept, frozenset(served)
        )

    def _look(self):
        return self._known
