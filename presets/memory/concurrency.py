"""How many requests one worker answers at once, where nobody has set it."""

from __future__ import annotations

#: With so much RAM or less a machine is somebody's own, and one answer at a time has all of it. The
#: presets for 16 GB are planned for that.
ONE_AT_A_TIME_BYTES = 16 * 2**30
#: The part of the RAM beyond that which the KV pools of further requests may take.
_FOR_REQUESTS = 1 / 4
#: At most, chosen without being asked: each answer is slower the more there are.
MOST = 8


def choose(request_bytes: int, total_bytes: int, cores: int) -> int:
    """Requests that are answered at once, on a machine of so much RAM and so many cores.

    `request_bytes`: what the KV pool has for each. More than one answer shares each pass over the
    weights; on a CPU more than one for each core gains little.
    """
    beyond = total_bytes - ONE_AT_A_TIME_BYTES
    if beyond <= 0:
        return 1
    fitting = int(_FOR_REQUESTS * beyond) // max(1, request_bytes)
    return max(1, min(cores, MOST, 1 + fitting))
