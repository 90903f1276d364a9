"""Windows about the parts of a field."""

from __future__ import annotations

import numpy as np
import pytest

from mishape.learn.parts_of_field import windows


def test_a_window_lies_where_its_part_lies() -> None:
    """Its own origin is its middle; it reaches 1.2 um beyond the part, as far as there is an image."""
    counts, labels = np.full((2, 60, 80), 10.0), np.zeros((60, 80), np.int32)
    labels[20:30, 40:44] = 1
    counts[:, labels == 1] = 50
    (window,) = windows(counts, labels, 100.0)
    assert window.counts.shape == (2, 10 + 24, 4 + 24)
    np.testing.assert_allclose(window.centre_nm, [(41.5 - 39.5) * 100, (24.5 - 29.5) * 100, 0])
    assert not window.touches_border
    assert window.counts.sum() == 2 * (34 * 28 * 10 + 40 * 40)


def test_light_of_neighbours_is_taken_away() -> None:
    """Pixels nearer to another part are as dark as the background of their plane."""
    counts, labels = np.full((2, 40, 40), 10.0), np.zeros((40, 40), np.int32)
    counts[1] += 5
    labels[10:14, 10:14], labels[10:14, 20:24] = 1, 2
    counts[:, labels > 0] = 90
    first, second = windows(counts, labels, 100.0)
    assert (first.counts == 90).sum() == (second.counts == 90).sum() == 2 * 16
    assert first.counts[0].min() == first.counts[0, -1, -1] == 10
    assert first.counts[1].min() == 15


@pytest.mark.parametrize("place", [(0, 10), (36, 10), (10, 0), (10, 36)])
def test_what_the_border_cuts_is_marked(place: tuple[int, int]) -> None:
    labels = np.zeros((40, 40), np.int32)
    labels[place[0] : place[0] + 4, place[1] : place[1] + 4] = 1
    (window,) = windows(np.random.default_rng(1).random((1, 40, 40)), labels, 100.0)
    assert window.touches_border


def test_numbers_without_pixels_are_passed_over() -> None:
    labels = np.zeros((20, 20), np.int32)
    labels[5, 5], labels[15, 15] = 1, 3
    assert [window.label for window in windows(np.zeros((1, 20, 20)), labels, 100.0)] == [1, 3]
