"""Images turned and mirrored, and what is asked of them."""

from __future__ import annotations

import numpy as np

from mishape.engine.scene import View
from mishape.engine.types import Emitters
from mishape.learn.symmetries import averaged, symmetries_of
from tests.small_light import view_of


def test_the_microscope_sees_the_turned_world_so() -> None:
    """An image of moved emitters is the moved image, by every symmetry; of a field that is no square too."""
    from mishape.engine.grid import Grid

    view = view_of(3, 24)
    view = view.model_copy(update={"grid": Grid((3, 20, 28), 100.0, planes_nm=(-300.0, 0.0, 200.0))})
    places = np.random.default_rng(1).uniform(-700, 700, (40, 3))
    photons = np.full(40, 1000.0)
    image = view.microscope.image(Emitters(places, photons), view.grid)
    ways = [*symmetries_of(view)]
    assert len(ways) == 16
    for way in ways:
        moved = view.microscope.image(Emitters(way.world(places), photons), way.view(view).grid)
        np.testing.assert_allclose(way.image(image), moved, atol=0.01 * image.max())


def test_what_has_no_symmetry_has_one_image() -> None:
    """In water under oil, above is not below; a PSF that is not round allows no turn."""
    assert len([*symmetries_of(view_of(3, 24, sample_index=1.33, depth_nm=2000))]) == 8
    view = view_of(1, 24)
    bare = view.model_copy(update={"microscope": object()})
    assert len([*symmetries_of(bare)]) == 1


def test_the_mean_of_all_answers() -> None:
    """What is asked in each turned world is the same place; answers are averaged."""
    counts, view, asked = np.arange(3 * 24 * 24.0).reshape(3, 24, 24), view_of(3, 24), []

    def ask(image: np.ndarray, own: View) -> object:
        asked.append(image)
        return lambda places: places.sum(axis=1) + image[0, 0, 0]

    places = np.array([[1.0, 2.0, 3.0], [-4.0, 0.0, 5.0]])
    told = averaged(ask, counts, view)(places)  # type: ignore[arg-type]
    corners = [counts[z, y, x] for z in (0, -1) for y in (0, -1) for x in (0, -1)]
    np.testing.assert_allclose(told, np.mean(corners), rtol=1e-6)
    assert len(asked) == 16
    alone = averaged(ask, counts, view, most=1)(places)  # type: ignore[arg-type]
    np.testing.assert_allclose(alone, places.sum(axis=1) + counts[0, 0, 0])
