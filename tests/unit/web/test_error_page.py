import re
from pathlib import Path

from web.errors import STATUS

PAGE = Path(__file__).parents[3] / "docs/ERRORS.md"


def test_the_page_has_every_code_with_its_status():
    rows = re.findall(r"^\| `([A-Z_]+)` \| (\d+) \|", PAGE.read_text(), flags=re.MULTILINE)
    assert {code: int(status) for code, status in rows} == STATUS
