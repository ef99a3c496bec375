"""The rewrite of the floor model's weights."""

import numpy as np

from freddy.server.providers.embedded.recode import q8_0


def test_rewritten_weights_differ_by_less_than_half_a_step():
    random = np.random.default_rng(1)
    blocks = random.integers(0, 256, (20_000, 20), dtype=np.uint8)
    blocks[:, :4] = random.normal(0, 0.1, (20_000, 2)).astype(np.float16).view(np.uint8)
    blocks[0] = 0
    scale, least = (blocks[:, at : at + 2].copy().view(np.float16).astype(np.float32) for at in (0, 2))
    nibbles = np.concatenate([blocks[:, 4:] & 15, blocks[:, 4:] >> 4], axis=1)
    before = nibbles * scale + least
    told = q8_0(blocks.reshape(-1))
    step = told[:, :2].copy().view(np.float16).astype(np.float32)
    after = told[:, 2:].view(np.int8) * step
    assert (after[0] == 0).all()
    assert (np.abs(after - before) <= 0.5 * step + 1e-3 * np.abs(before) + 1e-7).all()
