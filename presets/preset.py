"""What the catalogue says of one preset: models that run together, and what each does."""

from __future__ import annotations

from dataclasses import dataclass, field

#: What a stage of a pipeline can be; `expand` and `code` refine with templates of their own.
STAGES = ("draft", "expand", "refine", "code", "validate")
#: Fields of a preset that name the one model which does something.
PARTS = ("generator", "critic", "reconciler", "synthesiser")


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a pipeline."""

    #: One of `STAGES`.
    stage: str
    model: str


@dataclass(frozen=True, slots=True)
class Preset:
    """Models that run together, the mode in which they answer, and what each does in it."""

    id: str
    models: tuple[str, ...]
    #: Name of a mode of `orchestration`.
    mode: str
    #: `mac` fits 16 GB beside other work, `mac-alone` fits them alone, `server` needs 24 GB of
    #: GPU memory or more.
    hardware: str
    #: Of a pipeline, in order; empty: the mode's own.
    stages: tuple[Stage, ...] = ()
    #: Of a critique.
    generator: str | None = None
    critic: str | None = None
    #: Of a debate: who writes the answer.
    reconciler: str | None = None
    #: Of an ensemble: who writes the answer.
    synthesiser: str | None = None
    #: Of a debate or an ensemble: how many answer; the models take turns. None: each one once.
    members: int | None = None
    #: At which those that share a model sample, each further one a little hotter; None: as asked.
    temperature: float | None = None
    note: str = ""
    #: The file that describes it, as errors name it.
    file: str = field(default="", compare=False)

    def parts(self) -> dict[str, str]:
        """What each model does, by model, for people to read."""
        tasks: dict[str, list[str]] = {model: [] for model in self.models}
        for number, stage in enumerate(self.stages, start=1):
            tasks[stage.model].append(f"{number}. {stage.stage}")
        for part in PARTS:
            if model := getattr(self, part):
                tasks[model].append(part)
        return {model: ", ".join(names) or "answers" for model, names in tasks.items()}
