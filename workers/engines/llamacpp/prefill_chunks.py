"""Prefill chunks: how much of a prompt is read in one step.

As much as the pace of the step before lets fit into the aim, so that running answers keep moving.

A CPU adds a shape of its own. llama.cpp's flash attention (`ggml-cpu/ops.cpp`) takes the rows of
a batch in tiles of 64 once there are 64 of them, and one by one where there are fewer. A tile looks
at every used cell of the pool, a single row only at the cells of its own sequence; for the same
number of cells a row of a tile costs about a third. So tiles suit a deep sequence that fills most
of the pool, and single rows a short prompt among many others.
"""

from __future__ import annotations

#: Aim for the length of a step that reads prompts; below the bound of 0.4 s that running answers
#: are promised, since the time of a chunk is only known from the one before.
STEP_AIM_S = 0.35
#: Prompt tokens in a step at least.
LEAST_CHUNK = 4
#: Rows of a tile (`GGML_FA_TILE_Q`).
TILE = 64
#: What a row of a tile costs for each cell it looks at, of what a single row costs.
TILE_COST = 0.3
#: Single rows in a step at most: a little less than would make a tile.
MOST_ROWS = 48
#: First chunk after one of the other kind, whose pace says nothing.
FIRST_ROWS = 16
#: A prompt that has been read for this long, half of what callers wait, goes on in whole tiles
#: even where those take longer than the aim: else it would never end beside running answers.
PATIENCE_S = 60.0


class PrefillChunks:
    """The size of the next chunk, from the time of those before."""

    def __init__(self, *, on_cpu: bool, most: int) -> None:
        self._on_cpu = on_cpu
        self._most = most
        self._chunk = TILE
        self._in_tiles = False

    def slow_down(self) -> None:
        """A sequence joins those that run. It may begin at any depth: its pace is unknown."""
        self._chunk = min(self._chunk, TILE)

    def room(self, running: int, *, depth: int, cells: int, reading_s: float) -> int:
        """Prompt tokens of the next step.

        Beside `running` answers, for a prompt of which `depth` tokens are decoded and that has been
        read for `reading_s`, in a pool of which `cells` are used.
        """
        chunk = self._chunk
        if self._on_cpu:
            chunk = self._shaped(chunk, running, depth, cells, reading_s)
        return min(chunk, self._most - running)

    def _shaped(self, chunk: int, running: int, depth: int, cells: int, reading_s: float) -> int:
        in_tiles = running < TILE and depth >= TILE_COST * cells
        if reading_s > PATIENCE_S:
            return max(chunk - chunk % TILE, TILE) - min(running, TILE - 1)
        if not in_tiles:
            self._in_tiles = False
            return max(LEAST_CHUNK, min(chunk, MOST_ROWS - running))
        if chunk >= TILE:
            self._in_tiles = True
            return chunk - chunk % TILE - running
        if self._in_tiles:  # the aim has no room for a whole tile any more
            self._in_tiles = False
            self._chunk = chunk = min(chunk, FIRST_ROWS)
        return min(chunk, MOST_ROWS)

    def took(self, tokens: int, read: int, seconds: float) -> None:
        """A step of so many tokens, `read` of them of prompts, took so long."""
        if read < LEAST_CHUNK:
            return  # hardly a prompt was read: this says nothing about reading
        chunk = int(tokens * STEP_AIM_S / max(seconds, 1e-4))
        self._chunk = max(LEAST_CHUNK, min(chunk, 2 * max(tokens, self._chunk), self._most))
