"""The form of the catalogue's files, and the message where one has another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import (
    RAISE,
    Schema,
    ValidationError,
    fields,
    post_load,
    validate,
    validates_schema,
)

from presets import drafts, kv_cache, parallelism
from presets.budgets import PARTS as BUDGET_PARTS
from presets.budgets import Budgets
from presets.kind import Kind
from presets.model import GgufSource, HfSource, ModelSpec, PackageSource, Reasoning
from presets.preset import PARTS, STAGES, Preset, Stage
from presets.wrong_option import WrongOption

#: What a model may be called: it stands in addresses, file and queue names.
MODEL_ID = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
#: What pip installs: one version, so that the file is known, and never one of pip's options.
DISTRIBUTION = r"^[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][A-Za-z0-9.]*$"
ROLES = ("primary", "fast", "coder", "thinker", "longctx")
#: What a mode may be called. Which modes there are is checked where they are (`orchestration`).
MODE_NAME = r"[a-z][a-z0-9_-]{0,39}"
HARDWARE = ("mac", "mac-alone", "server")
#: Members of a debate or ensemble at most.
MOST_MEMBERS = 64
_GB = 10**9


class CatalogueError(ValueError):
    """A file of the catalogue is wrong; the message names file, entry and field."""

    def __init__(self, file: str, entry: str, problem: str) -> None:
        super().__init__(f"{file}: {entry}: {problem}" if entry else f"{file}: {problem}")


class _Strict(Schema):
    class Meta:
        """Marshmallow's options."""

        unknown = RAISE


def _id(**options: Any) -> fields.String:
    wrong = "must be letters, digits and . _ -, at most 100"
    return fields.String(validate=validate.Regexp(f"^{MODEL_ID}$", error=wrong), **options)


def _whole(least: int, **options: Any) -> fields.Integer:
    return fields.Integer(strict=True, validate=validate.Range(min=least), **options)


class _PackageSchema(_Strict):
    name = fields.String(required=True)
    file = fields.String(required=True)
    distribution = fields.String(
        load_default=None,
        validate=validate.Regexp(DISTRIBUTION, error="must be a name with its version, a==1.0"),
    )
    sha256 = fields.String(
        load_default=None,
        validate=validate.Regexp("^[0-9a-f]{64}$", error="must be 64 digits of a SHA-256, in hex"),
    )


class _GgufSchema(_Strict):
    repo = fields.String(load_default=None)
    file = fields.String(required=True)


class _HfSchema(_Strict):
    repo = fields.String(required=True)
    quantization = fields.String(load_default=None)


class _SourcesSchema(_Strict):
    package = fields.Nested(_PackageSchema)
    gguf = fields.Nested(_GgufSchema)
    hf = fields.Nested(_HfSchema)


class _ReasoningField(fields.Field[Reasoning]):
    """`harmony`, or an object with the opening and the closing tag."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Reasoning:
        if value == "harmony":
            return Reasoning("harmony")
        is_pair = isinstance(value, dict) and set(value) == {"open", "close"}
        if not is_pair or not all(isinstance(t, str) and t.strip() for t in value.values()):
            raise ValidationError("must be harmony, or an object with open and close")
        opening, closing = value["open"].strip(), value["close"].strip()
        if opening == closing:
            raise ValidationError("must have two tags that differ")
        return Reasoning("tags", opening, closing)


class _BudgetsSchema(_Strict):
    total = _whole(1, required=True)
    system = _whole(1, required=True)
    trajectory = _whole(1, required=True)
    handoff = _whole(1, required=True)
    user_query = _whole(1, required=True)
    generation = _whole(1, required=True)

    @post_load
    def _make(self, data: dict[str, int], **_: Any) -> Budgets:
        try:
            return Budgets(**data)
        except ValueError as error:
            raise ValidationError(str(error), "total") from None


class _Replaced(fields.Field[None]):
    """A field of older versions; what to write instead."""

    def __init__(self, instead: str) -> None:
        super().__init__()
        self._instead = instead

    def _deserialize(self, *_: Any, **__: Any) -> None:
        raise ValidationError(self._instead)


class ModelSchema(_Strict):
    """One model; `load` gives a `ModelSpec` without its path."""

    id = _id(required=True)
    kind = fields.Enum(
        Kind,
        by_value=True,
        load_default=Kind.GENERATION,
        error_messages={"unknown": "must be one of {choices}"},
    )
    aliases = fields.List(_id(), load_default=())
    sources = fields.Nested(_SourcesSchema, load_default=dict)
    size_gb = fields.Float(load_default=0.0, validate=validate.Range(min=0))
    context_length = _whole(16, required=True)
    described_budgets = fields.Nested(_BudgetsSchema, load_default=None, data_key="budgets")
    usable_tokens = _Replaced("is said by budgets now: leave it out")
    generation_tokens = _Replaced(
        "is the part generation of budgets now: write budgets with total, "
        f"{', '.join(BUDGET_PARTS)}, or leave both out"
    )
    roles = fields.List(
        fields.String(validate=validate.OneOf(ROLES)),
        load_default=None,
        validate=validate.Length(min=1),
    )
    hardware = fields.List(
        fields.String(validate=validate.OneOf(("mac", "server"))), load_default=("mac", "server")
    )
    backend = fields.String(load_default=None)
    gpu_layers = _whole(-1, load_default=None)
    devices = fields.List(_whole(0), load_default=())
    memory_fraction = fields.Float(
        load_default=None,
        validate=validate.Range(min=0, max=1, min_inclusive=False),
    )
    chat_template = fields.String(load_default=None)
    reasoning = _ReasoningField(load_default=None)
    tools = fields.String(load_default=None)
    requantise = fields.String(load_default=None)
    options = fields.Dict(keys=fields.String(), load_default=dict)
    notes = fields.String(load_default="")

    @validates_schema
    def _check_kind(self, data: Mapping[str, Any], **_: Any) -> None:
        if not data["kind"].writes and data["roles"] is not None:
            raise ValidationError("are of models that write; any other is named", "roles")

    @validates_schema
    def _check_devices(self, data: Mapping[str, Any], **_: Any) -> None:
        if len(set(data["devices"])) < len(data["devices"]):
            raise ValidationError("must not name a device twice", "devices")

    @validates_schema
    def _check_options(self, data: Mapping[str, Any], **_: Any) -> None:
        try:
            kv_cache.of(data["options"])
            drafts.of(data["options"], drafts.OFF)
            parallelism.of(data["options"]).on(len(data["devices"]))
        except WrongOption as error:
            raise ValidationError({"options": {error.option: [str(error)]}}) from None

    @validates_schema
    def _check_budget(self, data: Mapping[str, Any], **_: Any) -> None:
        budgets, length = data["described_budgets"], data["context_length"]
        if budgets is not None and budgets.total != length:
            wrong = f"must be context_length, which is {length}, and is {budgets.total}"
            raise ValidationError({"budgets": {"total": [wrong]}})

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> ModelSpec:
        sources = data.pop("sources")
        if data["roles"] is None:
            data["roles"] = ("primary",) if data["kind"].writes else ()
        gguf, hf, package = (sources.get(kind) for kind in ("gguf", "hf", "package"))
        rest = _frozen(data)
        return ModelSpec(
            path=None,
            backend=rest.pop("backend") or "",
            size_bytes=round(rest.pop("size_gb") * _GB),
            gguf=GgufSource(**gguf) if gguf else None,
            hf=HfSource(**hf) if hf else None,
            package=PackageSource(**package) if package else None,
            **rest,
        )


class _StageSchema(_Strict):
    stage = fields.String(required=True, validate=validate.OneOf(STAGES))
    model = _id(required=True)

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Stage:
        return Stage(**data)


class PresetSchema(_Strict):
    """One preset."""

    id = _id(required=True)
    models = fields.List(_id(), required=True, validate=validate.Length(min=1))
    mode = fields.String(
        required=True,
        validate=validate.Regexp(f"^{MODE_NAME}$", error="must be a mode's name"),
    )
    hardware = fields.String(required=True, validate=validate.OneOf(HARDWARE))
    stages = fields.List(fields.Nested(_StageSchema), load_default=())
    generator = _id(load_default=None)
    critic = _id(load_default=None)
    reconciler = _id(load_default=None)
    synthesiser = _id(load_default=None)
    members = fields.Integer(
        strict=True, load_default=None, validate=validate.Range(min=2, max=MOST_MEMBERS)
    )
    temperature = fields.Float(load_default=None, validate=validate.Range(min=0.1, max=2))
    note = fields.String(load_default="")

    @validates_schema
    def _check_parts(self, data: Mapping[str, Any], **_: Any) -> None:
        models = data["models"]
        if len(set(models)) < len(models):
            raise ValidationError("must not name a model twice", "models")
        if data["members"] is not None and data["members"] < len(models):
            raise ValidationError("must not be fewer than the models", "members")
        named = [("stages", stage.model) for stage in data["stages"]]
        named += [(part, data[part]) for part in PARTS if data[part] is not None]
        for field, model in named:
            if model not in models:
                raise ValidationError(f"{model} is none of the preset's models", field)

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Preset:
        return Preset(**_frozen(data))


def read(schema: Schema, data: Any, file: str, entry: str = "") -> Any:
    """Load one entry of a file.

    Raises:
        CatalogueError: it has another form.
    """
    if not isinstance(data, dict):
        raise CatalogueError(file, entry, "must be an object with fields")
    entry = entry or str(data.get("id", ""))
    try:
        return schema.load(data)
    except ValidationError as error:
        raise CatalogueError(file, entry, _first(error.normalized_messages())) from None


def _frozen(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in data.items()
    }


def _first(messages: Any) -> str:
    path: list[str] = []
    while isinstance(messages, dict):
        name, messages = next(iter(messages.items()))
        path.append(str(name))
    problem = str(messages[0] if isinstance(messages, list) else messages).rstrip(".")
    wording = {
        "Missing data for required field": "is missing",
        "Unknown field": "is no field of it",
        "Not a valid list": "must be a list",
    }
    return f"{'.'.join(path)} {wording.get(problem, problem)}"
