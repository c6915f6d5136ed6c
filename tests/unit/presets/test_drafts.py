"""Whether next tokens are guessed: what a model's options may say."""

import pytest
import yaml

from presets import drafts
from presets.wrong_option import WrongOption


@pytest.mark.parametrize(
    ("options", "default", "kind"),
    [("{}", "lookup", "lookup"), ("{}", "off", "off"), ("{drafts: off}", "lookup", "off"),
     ("{drafts: lookup}", "off", "lookup")],
)  # fmt: skip
def test_a_models_option_wins_over_the_setting(options, default, kind):
    assert drafts.of(yaml.safe_load(options), default) == kind


@pytest.mark.parametrize("wrong", ["on", True, 3, None, ["lookup"]])
def test_another_value_is_refused(wrong):
    with pytest.raises(WrongOption, match="must be one of lookup, off"):
        drafts.of({"drafts": wrong}, "lookup")
