"""Fields and centre lines of instances: thin parts kept, volumes kept, lengths right."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import label

from mishape.em.centre_line import centre_line
from mishape.em.decimate import decimated
from mishape.em.fields import largest_part, smooth_field, surface_of, thin_kept
from mishape.engine import geometry
from mishape.engine.errors import ShapeError
from mishape.engine.meshing import mesh_of_field
from mishape.engine.sampled import SampledField
from mishape.engine.types import Points

VOXEL = np.array([16.0, 16.0, 15.0])
EVERYWHERE = np.ones((3, 3, 3))


def grid(shape: tuple[int, int, int], step: float = 1.0) -> tuple[Points, Points, Points]:
    x, y, z = np.meshgrid(*(step * (np.arange(n) - (n - 1) / 2) for n in shape), indexing="ij")
    return x, y, z


def binned(mask: NDArray[np.bool_], factor: int) -> NDArray[np.float32]:
    a, b, c = (size // factor for size in mask.shape)
    return mask.reshape(a, factor, b, factor, c, factor).mean(axis=(1, 3, 5), dtype=np.float32)


def dumb_bell(thickness: int) -> NDArray[np.bool_]:
    """Two balls of 8 voxels' radius, joined by a thread of so many voxels."""
    mask = np.zeros((30, 30, 90), np.bool_)
    x, y, z = grid((30, 30, 90))
    for end in (-30, 30):
        mask |= x**2 + y**2 + (z - end) ** 2 < 64
    mask[14 : 14 + thickness, 14 : 14 + thickness, 15:75] = True
    return mask


@pytest.mark.parametrize("thickness", [1, 2, 3])
def test_a_thread_thinner_than_a_coarse_voxel_still_joins(thickness: int) -> None:
    """Three voxels to one: a thread of one voxel fills a ninth of a coarse one; by majority it is gone."""
    filled = binned(dumb_bell(thickness), 3)
    assert label(filled >= 0.5, EVERYWHERE)[1] == 2
    kept = thin_kept(filled)
    assert label(kept >= 0.5, EVERYWHERE)[1] == 1
    smoothed = smooth_field(kept, 3 * VOXEL, 3 * VOXEL)
    volume_nm3 = float(kept.sum() * np.prod(3 * VOXEL))
    mesh, _ = surface_of(smoothed.field, volume_nm3)
    geometry.check_watertight(mesh, "dumb-bell")
    assert geometry.mesh_volume_nm3(mesh) == pytest.approx(volume_nm3, rel=0.01)
    assert smoothed.share < 1  # smoothed as far as it was asked, the thread would be gone
    assert np.ptp(mesh.vertices_nm[:, 2]) > 70 * 15


def test_a_free_end_thinner_than_a_coarse_voxel_is_kept() -> None:
    mask = dumb_bell(1)
    mask[:, :, 60:] = False
    kept = thin_kept(binned(mask, 3))
    last = int(np.argwhere(kept >= 0.5)[:, 2].max())
    assert last >= 18  # of 20 coarse voxels that the thread reaches
    assert label(kept >= 0.5, EVERYWHERE)[1] == 1


def test_what_majority_keeps_is_not_thickened() -> None:
    x, y, z = grid((45, 45, 45))
    filled = binned(x**2 + y**2 + z**2 < 18**2, 3)
    np.testing.assert_array_equal(thin_kept(filled), filled)


def test_an_instance_that_is_nowhere_half_full_is_kept() -> None:
    filled = np.zeros((3, 3, 3), np.float32)
    filled[1, 1, 1], filled[1, 1, 2] = 0.3, 0.1
    assert thin_kept(filled)[1, 1, 1] >= 0.5


def test_what_hangs_on_by_a_corner_is_left_out() -> None:
    """Two cubes that meet at a corner of voxels, away from the diagonal along which the lattice's cells are cut."""
    filled = np.zeros((20, 20, 20), np.float32)
    filled[2:10, 10:18, 2:10] = 1
    filled[10:15, 5:10, 10:15] = 1
    smoothed = smooth_field(filled, VOXEL, 0 * VOXEL)
    assert smoothed.filled.sum() == 8**3
    mesh, _ = surface_of(smoothed.field, 8**3 * float(VOXEL.prod()))
    assert geometry.mesh_volume_nm3(mesh) == pytest.approx(8**3 * VOXEL.prod(), rel=0.01)
    np.testing.assert_allclose(geometry.centroid(mesh), [5.5, 13.5, 5.5] * VOXEL, atol=2)


def test_the_largest_part_alone() -> None:
    filled = np.zeros((9, 9, 9), np.float32)
    filled[1:4, 1:4, 1:4], filled[7, 7, 7] = 1, 1
    part = largest_part(filled)
    assert part.sum() == 27
    assert part[7, 7, 7] == 0


@pytest.mark.parametrize("radius", [3, 6, 12])
@pytest.mark.parametrize("smooth", [0.0, 0.5, 1.0, 1.5])
def test_a_smoothed_ball_keeps_its_volume_and_its_place(radius: int, smooth: float) -> None:
    """0.5 % of its voxels' volume, and its centre to 0.02 voxels."""
    x, y, z = grid((2 * radius + 3,) * 3)
    filled = (x**2 + y**2 + z**2 < radius**2).astype(np.float32)
    smoothed = smooth_field(filled, VOXEL, smooth * VOXEL)
    mesh, _ = surface_of(smoothed.field, float(filled.sum() * VOXEL.prod()))
    assert geometry.mesh_volume_nm3(mesh) == pytest.approx(filled.sum() * VOXEL.prod(), rel=5e-3)
    middle = (np.array(filled.shape) - 1) / 2 * VOXEL
    np.testing.assert_allclose(geometry.centroid(mesh), middle, atol=0.02 * VOXEL.min())
    geometry.check_watertight(mesh, "ball")


def test_a_smooth_field_is_a_distance_near_its_surface() -> None:
    """A ball of 20 voxels: within 1.5 voxels of the surface the field is the distance to 0.1 voxels in the mean.

    The ball of voxels itself is up to half a voxel off.
    """
    x, y, z = grid((51, 51, 51))
    distance = np.sqrt(x**2 + y**2 + z**2) - 20
    step = np.full(3, 10.0)
    field = smooth_field((distance < 0).astype(np.float32), step, step).field
    pad = (np.array(field.values.shape) - 51) // 2
    inner = field.values[tuple(slice(p, -p) for p in pad)] / 10
    near = np.abs(distance) < 1.5
    assert np.abs(inner[near] - distance[near]).mean() < 0.1
    assert np.abs(inner[near] - distance[near]).max() < 0.7
    slopes = np.stack(np.gradient(field.values / 10))
    assert np.linalg.norm(slopes, axis=0).max() < 1.5


def rod(length: float, radius: float, turn_deg: float = 0.0) -> SampledField:
    """A rod with round ends in the xy plane, turned away from x; 10 nm voxels."""
    step, half = 10.0, length / 2 - radius
    side = int(length / step) + 12
    x, y, z = grid((side, side if turn_deg else int(2 * radius / step) + 12, int(2 * radius / step) + 12), step)
    cos, sin = np.cos(np.deg2rad(turn_deg)), np.sin(np.deg2rad(turn_deg))
    along = np.clip(x * cos + y * sin, -half, half)
    distance = np.sqrt((x - along * cos) ** 2 + (y - along * sin) ** 2 + z**2)
    return SampledField(distance - radius, np.zeros(3), np.full(3, step))


@pytest.mark.parametrize(
    ("length", "radius", "turn_deg"), [(600, 100, 0), (1500, 150, 0), (3000, 120, 0), (1500, 100, 27), (1500, 100, 45)]
)
def test_length_and_thickness_of_a_rod(length: float, radius: float, turn_deg: float) -> None:
    """However it lies among the voxels."""
    field = rod(length, radius, turn_deg)
    line = centre_line(field, mesh_of_field(field))
    assert line.length_nm == pytest.approx(length, rel=0.05)
    assert line.thickness_nm == pytest.approx(2 * radius, rel=0.1)
    assert line.branches == 1


def test_a_ball_is_as_long_as_thick() -> None:
    field = rod(400, 200)
    line = centre_line(field, mesh_of_field(field))
    assert line.length_nm == pytest.approx(400, rel=0.05)
    assert (line.branches, line.thickness_nm) == (1, pytest.approx(400, rel=0.1))


def test_a_fork_has_three_branches_and_a_ring_one() -> None:
    step = 10.0
    x, y, z = grid((120, 120, 30), step)
    arms = [np.clip(x * np.cos(a) + y * np.sin(a), 0, 400) for a in np.deg2rad([90, 210, 330])]
    fork = np.min(
        [
            np.sqrt((x - t * np.cos(a)) ** 2 + (y - t * np.sin(a)) ** 2 + z**2)
            for t, a in zip(arms, np.deg2rad([90, 210, 330]), strict=True)
        ],
        axis=0,
    )
    ring = np.sqrt((np.hypot(x, y) - 350) ** 2 + z**2)
    for distance, branches, length in ((fork, 3, 1200 + 3 * 80), (ring, 1, 2 * np.pi * 350)):
        field = SampledField(distance - 80, np.zeros(3), np.full(3, step))
        line = centre_line(field, mesh_of_field(field))
        assert line.branches == branches
        assert line.length_nm == pytest.approx(length, rel=0.1)


@pytest.mark.parametrize("radius", [8, 12, 16])
@pytest.mark.parametrize("even", [0.0, 0.5])
@pytest.mark.parametrize("half", [0.0, 20.0])
def test_lines_of_smoothed_voxels(radius: float, even: float, half: float) -> None:
    """Balls and rods of odd and of even thickness; thinning takes away what is even on every side."""
    along = int(2 * half + 2 * radius) + 5
    x, y, z = grid((along + int(2 * even), 2 * radius + 5 + int(2 * even), 2 * radius + 5 + int(2 * even)))
    distance = np.sqrt((x - np.clip(x, -half, half)) ** 2 + y**2 + z**2)
    step = np.full(3, 10.0)
    smoothed = smooth_field((distance < radius).astype(np.float32), step, step)
    line = centre_line(smoothed.field, mesh_of_field(smoothed.field))
    assert line.length_nm == pytest.approx(20 * (half + radius), rel=0.08)
    assert line.thickness_nm == pytest.approx(20 * radius, rel=0.15)
    assert line.branches == 1


def test_a_cavity_is_not_thinned() -> None:
    """A ball of 160 nm with an empty ball of 45 nm in it is as long and as thick as without."""
    x, y, z = grid((41, 41, 41), 10.0)
    distance = np.sqrt(x**2 + y**2 + z**2)
    field = SampledField(np.maximum(distance - 160, 45 - distance), np.zeros(3), np.full(3, 10.0))
    line = centre_line(field, mesh_of_field(field))
    assert line.branches == 1
    assert line.length_nm == pytest.approx(320, rel=0.1)


@pytest.mark.parametrize("step", [(4.0, 6.0, 20.0), (12.0, 15.0, 15.0)])
def test_lengths_do_not_depend_on_the_voxels(step: tuple[float, float, float]) -> None:
    """A rod of 600 x 120 nm along z in voxels longer along z, or a little less."""
    size = np.array([160, 160, 640]) // np.array(step)
    x, y, z = np.meshgrid(
        *(s * (np.arange(n + 4) - (n + 3) / 2) for s, n in zip(step, size, strict=True)), indexing="ij"
    )
    distance = np.sqrt(x**2 + y**2 + (z - np.clip(z, -240, 240)) ** 2) - 60
    field = SampledField(distance, np.zeros(3), np.array(step))
    line = centre_line(field, mesh_of_field(field))
    assert line.length_nm == pytest.approx(600, rel=0.06)
    assert line.thickness_nm == pytest.approx(120, rel=0.15)


@pytest.mark.parametrize("last", [1, -1])
def test_what_meets_at_corners_is_joined(last: int) -> None:
    """Two balls on a diagonal thread of voxels, along any diagonal."""
    filled = np.zeros((40, 40, 40), np.float32)
    x, y, z = grid((40, 40, 40))
    for end in (-9.5, 9.5):
        filled[(x - end) ** 2 + (y - end) ** 2 + (z - last * end) ** 2 < 25] = 1
    for n in range(10, 30):
        filled[n, n, n if last > 0 else 39 - n] = 1
    smoothed = smooth_field(thin_kept(filled), VOXEL, VOXEL)
    assert smoothed.filled[(filled > 0)].all()
    mesh, _ = surface_of(smoothed.field, float(smoothed.filled.sum() * VOXEL.prod()))
    assert np.ptp(mesh.vertices_nm[:, 0]) > 26 * 16


def test_many_hairs_are_soon_refused_or_kept() -> None:
    """Thirty threads of a voxel on a ball: the paths are found together."""
    rng = np.random.default_rng(0)
    x, y, z = grid((60, 60, 60))
    filled = (x**2 + y**2 + z**2 < 12**2).astype(np.float32)
    for _ in range(30):
        along = rng.standard_normal(3)
        for radius in np.arange(0, 28, 0.4):
            a, b, c = np.rint(29.5 + radius * along / np.linalg.norm(along)).astype(int)
            filled[a, b, c] = max(filled[a, b, c], 0.2)
    kept = thin_kept(filled)
    assert label(kept >= 0.5)[1] == 1
    assert kept.sum() > filled.sum()


def test_mesh_and_field_stay_one() -> None:
    """Whatever the level does: the field is 0 at the mesh's vertices, to a tenth of a voxel."""
    for shape in ((2, 2, 20), (4, 4, 4), (1, 9, 9), (3, 5, 30)):
        smoothed = smooth_field(np.ones(shape, np.float32), VOXEL, VOXEL)
        mesh, field = surface_of(smoothed.field, float(np.prod(shape) * VOXEL.prod()))
        assert np.abs(field(mesh.vertices_nm)).max() < 1.6


def test_fewer_faces_say_what_they_cost() -> None:
    field = rod(1500, 150)
    mesh = mesh_of_field(field)
    fewer, error_nm = decimated(mesh, field, 0.2)
    assert len(fewer.faces) == pytest.approx(0.2 * len(mesh.faces), rel=0.05)
    geometry.check_watertight(fewer, "fewer")
    assert 0 < error_nm < 15
    assert geometry.mesh_volume_nm3(fewer) == pytest.approx(geometry.mesh_volume_nm3(mesh), rel=0.01)


def test_fields_that_are_no_solids_are_refused() -> None:
    values = np.ones((4, 4, 4))
    with pytest.raises(ShapeError, match="the field is nowhere negative: nothing is inside"):
        SampledField(values, np.zeros(3), np.ones(3))
    values[0, 2, 2] = -1
    with pytest.raises(ShapeError, match="the solid reaches the border of the field's lattice: pad it"):
        SampledField(values, np.zeros(3), np.ones(3))


def test_both_code_paths_read_the_same_values(use_path: Callable[[str], None]) -> None:
    """Linear functions exactly, and beyond the lattice its edge's values."""
    axes = np.meshgrid(np.arange(7.0), np.arange(5.0), np.arange(6.0), indexing="ij")
    # Positive but for one inner point, as a field must be.
    values = (1 + axes[0] + 2 * axes[1] + 3 * axes[2]).astype(np.float32)
    values[3, 2, 3] = -1
    field = SampledField(values, np.array([5.0, -2.0, 0.0]), np.array([2.0, 3.0, 1.5]))
    points = np.random.default_rng(0).uniform([-4, -9, -5], [30, 20, 16], (5000, 3))
    found = {}
    for path in ("core", "fast"):
        use_path(path)
        found[path] = field(points)
    np.testing.assert_allclose(found["fast"], found["core"], atol=1e-5)
    place = (points - field.origin_nm) / field.step_nm
    apart = (np.abs(place - [3, 2, 3]) >= 1).any(axis=1)
    i, j, k = np.clip(place, 0, [6, 4, 5]).T
    np.testing.assert_allclose(found["core"][apart], (1 + i + 2 * j + 3 * k)[apart], atol=1e-5)
