"""What is noted of one setting: its variable, kind and meaning."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from workers.settings import display
from workers.settings.kinds import SettingKind


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable, for those who read or print it."""

    name: str
    kind: SettingKind[Any]
    meaning: str
    #: Never shown, in no log and no error.
    secret: bool = False
    #: What holds while it is not set, where the default alone does not say it.
    unset: str = ""
    #: The capability that will use it; "" where it is used already.
    used_from: str = ""

    def shown(self, value: Any) -> str:
        """A value as it may be shown: of a secret only that it is set, no address's password."""
        if self.kind.is_address:
            return display.mask_address(value)
        return (display.mask if self.secret else display.show)(value)


def setting(
    name: str,
    default: Any,
    kind: SettingKind[Any],
    meaning: str,
    *,
    secret: bool = False,
    unset: str = "",
    used_from: str = "",
) -> Any:
    """A field of `Settings` that is read from the environment variable `name`."""
    variable = Variable(name, kind, meaning, secret=secret, unset=unset, used_from=used_from)
    return field(default=default, repr=not secret, metadata={"variable": variable})
