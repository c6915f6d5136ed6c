"""HTTP addresses, one blueprint a file. A new file is found; nothing else names it."""

from __future__ import annotations

import importlib
import pkgutil

from flask import Blueprint, Flask


def register(app: Flask) -> None:
    """Let an application answer at every address.

    Raises:
        TypeError: a file here has no `blueprint`.
    """
    for module in pkgutil.iter_modules(__path__):
        name = f"{__name__}.{module.name}"
        blueprint = getattr(importlib.import_module(name), "blueprint", None)
        if not isinstance(blueprint, Blueprint):
            raise TypeError(f"{name} needs a flask.Blueprint of the name `blueprint`")
        app.register_blueprint(blueprint)
