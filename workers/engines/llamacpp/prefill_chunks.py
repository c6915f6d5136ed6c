"""Prefill chunks: how much of the prompts is read in one step.

As much as fits into an aim, by the pace of the steps before: so that running answers keep moving,
or, where none runs, so that whoever comes is heard soon.

Large chunks read faster. On a CPU llama.cpp's flash attention (`ggml-cpu/ops.cpp`) takes the rows
of a batch in tiles of 64 once there are 64 of them, and one by one where there are fewer; for each
cell that it looks at, a row of a tile costs about a third. So chunks are whole tiles as long as one
fits into the aim. Where a deep prompt makes a tile too long, its rows are read one by one.
"""

from __future__ import annotations

#: Aim for the length of a step that reads prompts beside running answers; below the bound of 0.4 s
#: that they are promised, since the time of a chunk is only known from the ones before.
STEP_AIM_S = 0.35
#: The same where no answer runs: a newcomer waits for it, and a cancelled prompt ends after it.
ALONE_AIM_S = 1.0
#: Prompt tokens in a step at least.
LEAST_CHUNK = 4
#: Rows of a tile (`GGML_FA_TILE_Q`).
TILE = 64
#: What a row of a tile costs of what a single row does, where nothing was measured: at depth.
TILE_COST = 0.3
#: Single rows in a step at most. Where so many fit, a tile nearly does, and is read faster.
MOST_ROWS = 48
#: A prompt that has been read for this long, half of what callers wait, goes on in whole tiles
#: even where those take longer than the aim: else it would never end beside running answers.
PATIENCE_S = 60.0


class PrefillChunks:
    """The size of the next chunk, from the time of those before."""

    def __init__(self, *, most: int) -> None:
        self._most = most
        #: Seconds of a row in the last step of whole tiles, and in the last one of single rows.
        self._tile_row_s = STEP_AIM_S / TILE
        self._row_s = self._tile_row_s / TILE_COST
        #: Rows of the last step, a tile at least: of one that is many times as large nobody knows
        #: the pace.
        self._last = TILE

    def room(self, running: int, *, reading_s: float) -> int:
        """Prompt tokens of the next step beside `running` answers.

        `reading_s`: for how long the prompt that is read first has been read.
        """
        aim_s = STEP_AIM_S if running else ALONE_AIM_S
        rows = min(int(aim_s / self._tile_row_s), 4 * self._last)
        if rows < TILE:
            rows = int(aim_s / self._row_s)
        if rows > MOST_ROWS or reading_s > PATIENCE_S:
            rows = max(TILE, rows - rows % TILE)
        return max(LEAST_CHUNK, min(rows, self._most) - running)

    def took(self, tokens: int, read: int, seconds: float) -> None:
        """A step of so many tokens, `read` of them of prompts, took so long."""
        if read < LEAST_CHUNK:
            return  # hardly a prompt was read: this says nothing about reading
        row_s = max(seconds, 1e-5) / tokens
        self._last = max(tokens, TILE)
        if tokens >= TILE:
            self._tile_row_s, self._row_s = row_s, row_s / TILE_COST
        else:
            self._row_s = row_s
            self._tile_row_s = min(self._tile_row_s, row_s)
