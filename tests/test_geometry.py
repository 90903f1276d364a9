"""Rotations, measures, watertightness, crossings: against analytic solids."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from conftest import Accuracy
from numpy.typing import NDArray
from scipy import stats

from mishape.engine import columns
from mishape.engine import geometry as g
from mishape.engine.errors import ShapeError
from mishape.engine.fast_triangles import points_on
from mishape.engine.grid import Grid
from mishape.engine.meshing import mesh_of_implicit
from mishape.engine.types import Implicit, Mesh, Points, Pose, Shape

TETRAHEDRON = Mesh(
    np.array([[0.0, 0, 0], [100, 0, 0], [0, 100, 0], [0, 0, 100]]),
    np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]),
)


def ball(radius_nm: float, step_nm: float) -> Implicit:
    reach = np.full(3, radius_nm)
    return Implicit(lambda p: np.linalg.norm(p, axis=1) - radius_nm, np.stack([-reach, reach]), step_nm)


def box_mesh(low: Points, high: Points) -> Mesh:
    """An axis-aligned box of twelve triangles with all its vertices on the lattice of its corners."""
    corners = np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))]
    return Mesh(corners.astype(np.float64), np.array(faces))


def test_rotations_follow_equation_4_on_a_chiral_object(accuracy: Accuracy) -> None:
    helix = np.stack([np.cos(np.arange(9.0)), np.sin(np.arange(9.0)), 0.3 * np.arange(9.0)], axis=1)
    a, b, c = np.deg2rad([20, 50, -70])
    expected = helix
    for turn in (
        [[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]],
        [[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]],
        [[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]],
    ):
        expected = expected @ np.array(turn).T
    rotation = g.rotation_matrix(20, 50, -70)
    error = np.abs(helix @ rotation.T - expected).max()
    accuracy(13, "Rz Ry Rx of a chiral object, of its length", error / np.ptp(helix[:, 2]), abs=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)
    assert np.abs(helix @ g.rotation_matrix(-70, 50, 20).T - expected).max() > 0.1


def test_perspectives_are_exact_and_distinct() -> None:
    matrices = {name: g.rotation_matrix(*angles) for name, angles in g.PERSPECTIVES.items()}
    assert list(matrices) == ["0", "x90", "x180", "y90", "y180", "z90"]
    np.testing.assert_array_equal(matrices["x90"] @ [0, 1, 0], [0, 0, 1])
    np.testing.assert_array_equal(matrices["y90"] @ [0, 0, 1], [1, 0, 0])
    np.testing.assert_array_equal(matrices["z90"] @ [1, 0, 0], [0, 1, 0])
    assert len({matrix.tobytes() for matrix in matrices.values()}) == 6


def test_random_rotations_are_uniform_on_so3() -> None:
    rng = np.random.default_rng(1)
    rotations = np.stack([g.random_rotation(rng) for _ in range(4000)])
    np.testing.assert_allclose(
        rotations @ rotations.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (4000, 3, 3)), atol=1e-12
    )
    for row in range(3):
        for column in range(3):  # each entry is a coordinate of a uniform direction
            assert stats.kstest(rotations[:, row, column], stats.uniform(-1, 2).cdf).pvalue > 1e-4
    angle = np.arccos(np.clip((np.trace(rotations, axis1=1, axis2=2) - 1) / 2, -1, 1))
    assert stats.kstest(angle, lambda t: (t - np.sin(t)) / np.pi).pvalue > 1e-3


def test_flat_rotation_keeps_the_long_axis_near_the_image_plane() -> None:
    mesh = box_mesh(np.array([-50, -80, -400]), np.array([50, 80, 400]))
    rng = np.random.default_rng(2)
    rotations = np.stack([g.flat_rotation(mesh, 15, rng) for _ in range(2000)])
    axis = rotations @ [0, 0, 1]
    assert np.abs(axis[:, 2]).max() <= np.sin(np.deg2rad(15)) + 1e-12
    assert np.abs(axis[:, 2]).max() > 0.25
    assert stats.kstest(np.arctan2(axis[:, 1], axis[:, 0]), stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 1e-3
    spin = rotations @ [1, 0, 0]
    assert np.abs(spin[:, 2]).max() > 0.9
    np.testing.assert_allclose(np.linalg.det(rotations), 1)
    level = g.flat_rotation(mesh, 0, rng) @ [0, 0, 1]
    assert level[2] == pytest.approx(0, abs=1e-12)


def test_measures_of_a_box_far_from_the_origin() -> None:
    mesh = box_mesh(np.array([1e5, 2e5, -1e5]), np.array([1e5 + 10, 2e5 + 20, -1e5 + 30]))
    g.check_watertight(mesh, "box")
    assert g.mesh_volume_nm3(mesh) == pytest.approx(6000)
    assert g.mesh_area_nm2(mesh) == pytest.approx(2200)
    np.testing.assert_allclose(g.centroid(mesh), [1e5 + 5, 2e5 + 10, -1e5 + 15])
    np.testing.assert_allclose(g.centroid(g.centered(mesh)), 0, atol=1e-9)
    np.testing.assert_allclose(g.centroid(TETRAHEDRON), 25)


@pytest.mark.parametrize(
    ("mesh", "reason"),
    [
        (Mesh(TETRAHEDRON.vertices_nm, TETRAHEDRON.faces[:0]), "it has no faces"),
        (Mesh(TETRAHEDRON.vertices_nm, TETRAHEDRON.faces[:3]), "it has 3 open edges"),
        (
            Mesh(TETRAHEDRON.vertices_nm, np.array([[0, 1, 2], [0, 1, 3], [0, 3, 2], [1, 2, 3]])),
            "oriented inconsistently",
        ),
        (Mesh(TETRAHEDRON.vertices_nm, TETRAHEDRON.faces[:, ::-1]), "it is inside out"),
        (Mesh(TETRAHEDRON.vertices_nm * [1, 1, np.nan], TETRAHEDRON.faces), "4 of its 4 vertices are not finite"),
        (Mesh(TETRAHEDRON.vertices_nm, TETRAHEDRON.faces + 1), "a face refers to vertex 4 but there are 4 vertices"),
        (Mesh(TETRAHEDRON.vertices_nm, np.vstack([TETRAHEDRON.faces, [[0, 0, 1]]])), "1 faces use a vertex twice"),
        (Mesh(TETRAHEDRON.vertices_nm, np.vstack([TETRAHEDRON.faces] * 2)), "6 edges belong to more than two faces"),
    ],
)
def test_what_is_not_watertight_is_named_with_the_reason(mesh: Mesh, reason: str) -> None:
    with pytest.raises(ShapeError, match=f"mesh 'cell' is not the closed surface of a solid: .*{reason}"):
        g.check_watertight(mesh, "cell")


def test_oriented_outward_flips_only_what_is_inside_out() -> None:
    g.check_watertight(g.oriented_outward(Mesh(TETRAHEDRON.vertices_nm, TETRAHEDRON.faces[:, ::-1])), "flipped")
    assert g.oriented_outward(TETRAHEDRON) is TETRAHEDRON


def test_inside_agrees_with_the_analytic_ball_except_between_chord_and_arc() -> None:
    mesh = mesh_of_implicit(ball(300, 20))
    points = np.random.default_rng(3).uniform(-320, 320, (100_000, 3))
    radius = np.linalg.norm(points, axis=1)
    clear = np.abs(radius - 300) > 1
    np.testing.assert_array_equal(columns.inside_mesh(mesh, points)[clear], (radius < 300)[clear])


def test_lines_through_vertices_and_edges_cross_consistently() -> None:
    """Lines hit vertices and edges of a mesh on a lattice exactly; the signs along each must still sum to 0."""
    parts = [box_mesh(np.array([x, y, z]), np.array([x, y, z]) + 2) for x in (0, 2) for y in (0, 2) for z in (0, 4)]
    mesh = Mesh(
        np.concatenate([part.vertices_nm for part in parts]),
        np.concatenate([part.faces + 8 * number for number, part in enumerate(parts)]),
    )
    lines = np.array([[x, y] for x in np.arange(-1, 6, 0.5) for y in np.arange(-1, 6, 0.5)])
    line, z, sign = columns.crossings(mesh, lines)
    assert set(np.abs(sign)) == {1}
    np.testing.assert_array_equal(np.bincount(line, weights=sign, minlength=len(lines)), 0)
    covered = np.bincount(line, minlength=len(lines))
    # A tie counts as moved towards +x, +y: the lower edges belong to the solid, the upper ones do not.
    np.testing.assert_array_equal(covered, 4 * np.all((lines >= 0) & (lines < 4), axis=1))
    assert set(z) == {0, 2, 4, 6}


def test_crossings_sum_to_zero_on_random_degenerate_meshes() -> None:
    rng = np.random.default_rng(4)
    mesh = mesh_of_implicit(ball(300, 60))
    rounded = Mesh(np.round(mesh.vertices_nm / 40) * 40, mesh.faces)  # collapsed and upright faces, many ties
    lines = np.concatenate([np.round(rng.uniform(-320, 320, (2000, 2)) / 20) * 20, rounded.vertices_nm[:, :2]])
    line, _, sign = columns.crossings(rounded, lines)
    np.testing.assert_array_equal(np.bincount(line, weights=sign, minlength=len(lines)), 0)


@pytest.mark.parametrize("implicit", [True, False])
def test_voxels_of_a_ball(implicit: bool) -> None:
    grid = Grid((24, 50, 60), pixel_nm=13, z_step_nm=29)
    offset = np.array([31.0, -17.0, 11.0])
    solid = ball(250, 8)
    shape = Shape("b", implicit=solid) if implicit else Shape("b", mesh=mesh_of_implicit(solid))
    voxels = columns.voxelise(shape.moved(g.rotation_matrix(10, 20, 30), offset), grid)
    z, y, x = grid.centers_nm()
    radius = np.sqrt((z[:, None, None] - 11) ** 2 + (y[:, None] + 17) ** 2 + (x - 31) ** 2)
    clear = np.abs(radius - 250) > 0.5
    np.testing.assert_array_equal(voxels[clear], (radius < 250)[clear])


def test_voxels_of_listed_planes_in_any_order() -> None:
    shape = Shape("b", mesh=mesh_of_implicit(ball(100, 10)))
    voxels = columns.voxelise(shape, Grid((3, 9, 9), pixel_nm=20, planes_nm=(90.0, -500.0, 0.0)))
    assert voxels[2].sum() > voxels[0].sum() > 0 == voxels[1].sum()


def test_silhouette_and_slab_of_a_torus() -> None:
    def field(p: Points) -> Points:
        return np.asarray(np.hypot(np.hypot(p[:, 0], p[:, 1]) - 200, p[:, 2]) - 60)

    mesh = mesh_of_implicit(Implicit(field, np.array([[-260.0, -260, -60], [260, 260, 60]]), 6))
    grid = Grid((1, 61, 61), pixel_nm=10)
    _, y, x = grid.centers_nm()
    ring = np.abs(np.hypot(y[:, None], x) - 200)

    def agree(found: NDArray[np.bool_], half_width: float) -> None:
        clear = np.abs(ring - half_width) > 0.5
        np.testing.assert_array_equal(found[clear], (ring < half_width)[clear])

    agree(columns.silhouette(mesh, grid), 60)
    agree(columns.overlaps_slab(mesh, grid, -5, 5), 60)
    agree(columns.overlaps_slab(mesh, grid, 36, 1000), 48)
    agree(columns.overlaps_slab(mesh, grid, 36, 37), 48)
    assert not columns.overlaps_slab(mesh, grid, 61, 100).any()
    assert not columns.silhouette(mesh.moved(Pose(np.eye(3), np.array([5000.0, 0, 0]))), grid).any()


def test_a_moved_implicit_is_the_moved_mesh() -> None:
    rotation, offset = g.rotation_matrix(30, 40, 50), np.array([100.0, -50, 20])
    solid = Implicit(
        lambda p: np.abs(p / [1, 2, 3]).max(axis=1) - 50, np.array([[-50.0, -100, -150], [50, 100, 150]]), 10
    )
    moved = g.move_implicit(solid, rotation, offset)
    points = np.random.default_rng(5).uniform(-200, 200, (1000, 3))
    np.testing.assert_allclose(moved.field(points @ rotation.T + offset), solid.field(points), atol=1e-9)
    corners = np.array([[x, y, z] for x in (-50, 50) for y in (-100, 100) for z in (-150, 150)]) @ rotation.T + offset
    np.testing.assert_allclose(moved.bounds_nm, [corners.min(axis=0), corners.max(axis=0)])


def test_a_moved_mesh_draws_where_its_own_mesh_would_and_knows_its_area(each_path: str) -> None:
    pose = Pose(g.rotation_matrix(20, 50, -70), np.array([1e4, -2e4, 500.0]), 2.0)
    mesh = box_mesh(np.array([0.0, 0, 0]), np.array([30.0, 20, 10]))
    moved = mesh.moved(pose)
    np.testing.assert_allclose(moved.vertices_nm, 2 * mesh.vertices_nm @ pose.rotation.T + pose.offset_nm, rtol=1e-14)
    assert g.mesh_area_nm2(mesh) == pytest.approx(2200)
    assert g.mesh_area_nm2(moved) == pytest.approx(4 * 2200)
    assert g.mesh_area_nm2(Mesh(moved.vertices_nm, moved.faces)) == pytest.approx(4 * 2200)
    drawn, again = (g.sample_surface(one, 1000, np.random.default_rng(3)) for one in (mesh, moved))
    np.testing.assert_allclose(again, pose.of(drawn), rtol=1e-14)
    on_a_side = np.isclose(drawn, 0) | np.isclose(drawn, [30, 20, 10])
    assert on_a_side.any(axis=1).all()


def test_points_on_a_mesh_fill_each_face_evenly(each_path: str) -> None:
    """Chi-square of quarters of triangles whose areas differ 10000 times."""
    mesh = Mesh(
        np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [50, 0, 5], [150, 0, 5], [50, 100, 5], [0, 0, 9], [0, 0, 9]]),
        np.array([[0, 6, 7], [0, 1, 2], [6, 0, 7], [3, 4, 5], [7, 6, 0]]),
    )
    points = g.sample_surface(mesh, 40_000, np.random.default_rng(0))
    large = points[points[:, 2] == 5]
    assert 0 < (points[:, 2] == 0).sum() < 20  # 4 of 40000 are expected on the small one
    assert not (points[:, 2] > 5).any()  # and none on those without area
    u, v = (large[:, 0] - 50) / 100, large[:, 1] / 100
    quarter = np.select([u > 0.5, v > 0.5, u + v < 0.5], [0, 1, 2], 3)
    assert stats.chisquare(np.bincount(quarter, minlength=4)).pvalue > 1e-3


def test_both_code_paths_draw_the_same_points(use_path: Callable[[str], None]) -> None:
    """To 1e-9 nm, and the end of the last face, which has no area, is on the surface."""
    triangles = mesh_of_implicit(ball(300, 20)).triangles
    drawn = []
    for path in ("core", "fast"):
        use_path(path)
        drawn.append(triangles.sample(5000, np.random.default_rng(4)))
    np.testing.assert_allclose(drawn[1], drawn[0], atol=1e-9)
    corners = np.zeros((3, 3, 2))
    corners[0, :, 1] = 7.0
    ends = points_on(corners, np.array([0.0, 1, 1]), np.array([0.5, 1.0]), np.array([0.3, 0.3]))
    np.testing.assert_array_equal(ends, [[0, 0, 0], [7, 7, 7]])
