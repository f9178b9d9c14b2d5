"""Attention over the cache in one kernel of Triton, for passes of CUDA that are recorded.

A tile is a run of rows of one sequence; a program attends one tile with the query heads that share a key head, over
that sequence's keys in blocks from its first on. So what a row sees, and in which order it is summed, depends neither
on the rows beside it nor on where its sequence lies in the pack, and nothing is copied or padded.

Source of the method: online softmax as in FlashAttention (Dao et al. 2022). Needs triton, which torch brings with CUDA.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from decoder.cache import KeyValueCache

_SMALLEST = 16  # rows of a matrix product on tensor cores
_LOG2_E = 1.4426950408889634


class TiledAttention:
    """Stands behind the registered attention while a pass is recorded and replayed.

    ``places`` [rows] int64 says where each row's key goes; ``tiles`` [4, n] int64 has for each tile its first row, its
    rows (0: nothing to do; at most ``tile_rows``), the start of its sequence's range and the position of its first row
    in the sequence.
    """

    def __init__(self, cache: KeyValueCache, places: torch.Tensor, tiles: torch.Tensor, tile_rows: int) -> None:
        self._cache, self._places, self._tiles, self._tile_rows = cache, places, tiles, tile_rows

    def attend(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        scale: float | None,
        window: int | None,
    ) -> torch.Tensor:
        """Store the new keys and values, attend every tile over its own sequence."""
        keys, values = self._cache.keys[layer], self._cache.values[layer]
        heads, rows, width = query.shape[1:]
        group, value_width = heads // keys.shape[0], values.shape[2]
        _store[triton.cdiv(rows, _SMALLEST), keys.shape[0]](
            key, value, keys, values, self._places, rows,
            *key.stride()[1:3], *value.stride()[1:3], *keys.stride()[:2], *values.stride()[:2],
            WIDTH=width, VALUE_WIDTH=value_width,
            PADDED=triton.next_power_of_2(width), VALUE_PADDED=triton.next_power_of_2(value_width), ROWS=_SMALLEST,
            num_warps=2,
        )  # fmt: skip
        lanes = max(_SMALLEST, triton.next_power_of_2(self._tile_rows * group))
        out = torch.empty(rows, heads, value_width, dtype=query.dtype, device=query.device)  # rows of filling stay so
        _attend[self._tiles.shape[1], keys.shape[0]](
            query, keys, values, out, self._tiles,
            self._tiles.shape[1], *query.stride()[1:3], *keys.stride()[:2], *values.stride()[:2], *out.stride()[:2],
            (width**-0.5 if scale is None else scale) * _LOG2_E,
            WINDOW=window or 0, GROUP=group, WIDTH=width, VALUE_WIDTH=value_width,
            PADDED=triton.next_power_of_2(width), VALUE_PADDED=triton.next_power_of_2(value_width),
            ROWS=lanes, BLOCK=64,
            num_warps=2 if lanes == _SMALLEST else 4, num_stages=2 if query.dtype == torch.float32 else 3,
        )  # fmt: skip
        return out.transpose(0, 1)[None]


@triton.jit  # type: ignore[untyped-decorator]
def _store(  # type: ignore[no-untyped-def]
    key, value, keys, values, places, rows,
    key_head, key_row, value_head, value_row, keys_head, keys_place, values_head, values_place,
    WIDTH: tl.constexpr, VALUE_WIDTH: tl.constexpr, PADDED: tl.constexpr, VALUE_PADDED: tl.constexpr,
    ROWS: tl.constexpr,
):  # fmt: skip
    row, head = tl.program_id(0) * ROWS + tl.arange(0, ROWS), tl.program_id(1)
    place = tl.load(places + row, mask=row < rows, other=0)
    across, value_across = tl.arange(0, PADDED), tl.arange(0, VALUE_PADDED)
    used = (row < rows)[:, None] & (across < WIDTH)[None, :]
    new = tl.load(key + head * key_head + row[:, None] * key_row + across[None, :], mask=used)
    tl.store(keys + head * keys_head + place[:, None] * keys_place + across[None, :], new, mask=used)
    used = (row < rows)[:, None] & (value_across < VALUE_WIDTH)[None, :]
    new = tl.load(value + head * value_head + row[:, None] * value_row + value_across[None, :], mask=used)
    tl.store(values + head * values_head + place[:, None] * values_place + value_across[None, :], new, mask=used)


@triton.jit  # type: ignore[untyped-decorator]
def _attend(  # type: ignore[no-untyped-def]
    query, keys, values, out, tiles,
    count, query_head, query_row, key_head, key_place, value_head, value_place, out_row, out_head, sharpness,
    WINDOW: tl.constexpr, GROUP: tl.constexpr, WIDTH: tl.constexpr, VALUE_WIDTH: tl.constexpr,
    PADDED: tl.constexpr, VALUE_PADDED: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    tile, head = tl.program_id(0), tl.program_id(1)
    first_row = tl.load(tiles + tile)
    held = tl.load(tiles + count + tile).to(tl.int32)
    if held == 0:
        return
    base = tl.load(tiles + 2 * count + tile)
    position = tl.load(tiles + 3 * count + tile).to(tl.int32)
    keys += head * key_head + base * key_place  # within a sequence 32 bits are enough, which are quicker
    values += head * value_head + base * value_place
    lane = tl.arange(0, ROWS)
    row, own_head = lane // GROUP, head * GROUP + lane % GROUP
    used = row < held
    across, value_across = tl.arange(0, PADDED), tl.arange(0, VALUE_PADDED)
    offsets = (first_row + row) * query_row + own_head * query_head
    asked = tl.load(
        query + offsets[:, None] + across[None, :], mask=used[:, None] & (across[None, :] < WIDTH), other=0.0
    )
    highest = tl.full([ROWS], -1e30, tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    summed = tl.zeros([ROWS, VALUE_PADDED], tl.float32)
    # Whole blocks from the first on, so that sums do not depend on where the tile begins: first those of which every
    # row sees all, in which nothing need be looked at.
    if WINDOW > 0:
        open_from = tl.maximum(position - WINDOW + 1, 0) // BLOCK * BLOCK
    else:
        open_from = (position + 1) // BLOCK * BLOCK
        for start in range(0, open_from, BLOCK):
            highest, total, summed = _see(
                asked, keys, values, start, row, position, held, key_place, value_place, sharpness,
                highest, total, summed, WINDOW, WIDTH, VALUE_WIDTH, PADDED, VALUE_PADDED, BLOCK, ALL=True,
            )  # fmt: skip
    for start in range(open_from, position + held, BLOCK):
        highest, total, summed = _see(
            asked, keys, values, start, row, position, held, key_place, value_place, sharpness,
            highest, total, summed, WINDOW, WIDTH, VALUE_WIDTH, PADDED, VALUE_PADDED, BLOCK, ALL=False,
        )  # fmt: skip
    offsets = (first_row + row) * out_row + own_head * out_head
    tl.store(
        out + offsets[:, None] + value_across[None, :],
        (summed / tl.maximum(total, 1e-30)[:, None]).to(out.dtype.element_ty),
        mask=used[:, None] & (value_across[None, :] < VALUE_WIDTH),
    )


@triton.jit  # type: ignore[untyped-decorator]
def _see(  # type: ignore[no-untyped-def]
    asked, keys, values, start, row, position, held, key_place, value_place, sharpness, highest, total, summed,
    WINDOW: tl.constexpr, WIDTH: tl.constexpr, VALUE_WIDTH: tl.constexpr,
    PADDED: tl.constexpr, VALUE_PADDED: tl.constexpr, BLOCK: tl.constexpr, ALL: tl.constexpr,
):  # fmt: skip
    """One block of keys more. Both kinds give a row that sees all of it the same bits: what the compiler could sum up
    in one of them only is a product and a sum at once in both."""
    across, value_across = tl.arange(0, PADDED), tl.arange(0, VALUE_PADDED)
    place = start + tl.arange(0, BLOCK)
    key_mask, value_mask = across[:, None] < WIDTH, value_across[None, :] < VALUE_WIDTH
    if not ALL:
        here = place < position + held
        key_mask &= here[None, :]
        value_mask &= here[:, None]
    key = tl.load(keys + place[None, :] * key_place + across[:, None], mask=key_mask, other=0.0)
    scores = tl.dot(asked, key, input_precision="ieee")
    if not ALL:
        seen = here[None, :] & (place[None, :] <= (position + row)[:, None])
        if WINDOW > 0:
            seen = seen & (place[None, :] > (position + row - WINDOW)[:, None])
        scores = tl.where(seen, scores, -1e30)
    higher = tl.maximum(highest, tl.max(scores, 1))
    weights = tl.exp2(tl.fma(scores, sharpness, (higher * -sharpness)[:, None]))
    if not ALL:
        weights = tl.where(seen, weights, 0.0)
    kept = tl.exp2((highest - higher) * sharpness)
    value = tl.load(values + place[:, None] * value_place + value_across[None, :], mask=value_mask, other=0.0)
    summed = tl.dot(weights.to(value.dtype), value, summed * kept[:, None], input_precision="ieee")
    return higher, tl.fma(total, kept, tl.sum(weights, 1)), summed
