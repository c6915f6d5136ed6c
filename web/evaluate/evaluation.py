"""An evaluation: the questions that are left are asked, a bounded number at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice

from presets.preset import Preset
from web.evaluate.asks import Ask, Options, alone, lead, together
from web.evaluate.ledger import Ledger, LedgerAnswer
from web.evaluate.service import Miscast, ServiceUnderTest
from web.evaluate.tasks import Task
from workers.contract.job import DEFAULT_MODE

#: Samples of self-consistency at most: beyond this many a vote gains nothing (Wang et al. 2022
#: draw 40).
MOST_SAMPLES = 40

#: Called with what is being asked, and how many of how many answers are there.
Progress = Callable[[str, int, int], None]


class Evaluation:
    """Questions to presets, to their leads alone, and to the leads at the presets' tokens."""

    def __init__(self, tasks: Sequence[Task], options: Options, ledger: Ledger) -> None:
        self.tasks = tuple(tasks)
        self.options = options
        self.ledger = ledger

    def singles(self, preset: Preset, sample: int = 0) -> list[Ask]:
        """The questions to the preset's lead alone."""
        return [alone(task, lead(preset), self.options, sample) for task in self.tasks]

    def togethers(self, preset: Preset) -> list[Ask]:
        """The questions to the preset. One of mode `single` is its lead alone."""
        if preset.mode == DEFAULT_MODE:
            return self.singles(preset)
        return [together(task, preset, self.options) for task in self.tasks]

    def samples(self, preset: Preset) -> int | None:
        """How many answers of the lead cost about as many completion tokens as the preset did.

        Over all questions together. None while not all of both are there.
        """
        spent = self._spent(self.togethers(preset))
        alone_spent = self._spent(self.singles(preset))
        if spent is None or alone_spent is None:
            return None
        return max(1, min(MOST_SAMPLES, round(spent / max(1, alone_spent))))

    def missing(self, preset: Preset) -> list[Ask]:
        """What is still to be asked for this preset, as far as that is known now."""
        asks = [*self.singles(preset), *self.togethers(preset)]
        for sample in range(1, self.samples(preset) or 1):
            asks += self.singles(preset, sample)
        return [ask for ask in asks if self.ledger.lacks(ask)]

    def run(
        self, preset: Preset, service: ServiceUnderTest, in_flight: int, progress: Progress
    ) -> str | None:
        """Ask what is missing; returns why the preset cannot run, if so.

        Raises:
            httpx.HTTPError: the service refuses, or went away.
        """
        if not self.missing(preset):
            return None
        if (reason := service.obstacle(preset)) is not None:
            return reason

        def ask_all(named: str, asks: list[Ask], checked: Preset | None = None) -> None:
            self._ask_all(named, asks, service, in_flight, progress, checked)

        ask_all(f"{lead(preset)} alone", self.singles(preset))
        if preset.mode == DEFAULT_MODE:
            return None
        try:
            ask_all(preset.id, self.togethers(preset), preset)
        except Miscast as miscast:
            return str(miscast)
        count = self.samples(preset) or 1
        more = [ask for sample in range(1, count) for ask in self.singles(preset, sample)]
        if more:
            ask_all(f"{lead(preset)}, {count} answers to each", more)
        return None

    def _ask_all(
        self,
        named: str,
        asks: list[Ask],
        service: ServiceUnderTest,
        in_flight: int,
        progress: Progress,
        preset: Preset | None,
    ) -> None:
        left = iter([ask for ask in asks if self.ledger.lacks(ask)])
        there = sum(not self.ledger.lacks(ask) for ask in asks)
        progress(named, there, len(asks))
        running: dict[Future[LedgerAnswer], Ask] = {}
        with ThreadPoolExecutor(in_flight) as pool:
            try:
                while True:
                    for ask in islice(left, in_flight - len(running)):
                        key = self.ledger.key(ask)
                        running[pool.submit(service.ask, ask, key, preset)] = ask
                    if not running:
                        return
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        self.ledger.add(running.pop(future), future.result())
                        there += 1
                        progress(named, there, len(asks))
            except Miscast:
                raise  # what is under way ends by itself, and other presets may run
            except BaseException:
                service.stop()
                raise

    def _spent(self, asks: Sequence[Ask]) -> int | None:
        answers = [self.ledger.get(ask) for ask in asks]
        if any(answer is None for answer in answers):
            return None
        return sum(answer.completion_tokens for answer in answers if answer is not None)
