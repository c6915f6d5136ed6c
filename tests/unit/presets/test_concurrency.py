"""How many requests are answered at once, where nobody has said it."""

import pytest

from presets.memory.concurrency import choose

GB = 10**9
#: An 8B model of 36 layers with 8 heads: 144 KiB a token, 2,048 tokens.
LARGE = 144 * 1024 * 2048
SMALL = 23 * 1024 * 2048


@pytest.mark.parametrize(
    ("request_bytes", "total_gb", "cores", "chosen"),
    [
        (LARGE, 16 * 2**30 / GB, 8, 1),  # a Mac of 16 GB
        (SMALL, 16 * 2**30 / GB, 8, 1),
        (SMALL, 8, 8, 1),
        (LARGE, 25.77, 8, 8),  # 24 GB
        (LARGE, 18.5, 8, 2),
        (SMALL, 25.77, 2, 2),
        (SMALL, 137, 64, 8),
        (0, 137, 64, 8),
    ],
)
def test_it_follows_memory_and_cores(request_bytes, total_gb, cores, chosen):
    assert choose(request_bytes, round(total_gb * GB), cores) == chosen
