"""From label volumes to libraries: real mitochondria and procedural vesicles, interrupted, extended and refused."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Run
from numpy.typing import NDArray

from mishape.em import shapes
from mishape.em.blocks import Foreground
from mishape.em.prepare import prepare
from mishape.em.settings import Making, Origin
from mishape.em.volumes import ArrayVolume
from mishape.engine import geometry
from mishape.engine.columns import inside_mesh
from mishape.engine.errors import DatasetError, ShapeError, VolumeError
from mishape.engine.library import Library, open_library
from mishape.engine.types import Mesh, Points
from mishape.plugins.shapes.em_labels import EmLabels
from mishape.plugins.shapes.em_mesh import EmMesh

UROCELL = Path(__file__).parent / "data" / "urocell" / "fib1-1-0-3.nii.gz"
VOXEL = (16.0, 16.0, 15.0)
DATA = os.environ.get("MISHAPE_DATA", "")
ALL_VOLUMES = sorted(Path(DATA).glob("urocell/mito_instance/*.nii.gz")) if DATA else []

CHANGED = (
    r"lib\.work' holds an interrupted run of other volumes, of files that have changed since, or of another way to "
    r"read them: put back what was there to go on with it, or delete the folder to begin anew"
)


def balls(shape: tuple[int, int, int] = (60, 50, 40), seed: int = 3) -> NDArray[np.uint16]:
    """Vesicles: twelve balls of 4 to 8 voxels that do not touch, some cut by the border; label 1 to 12, in zyx."""
    rng, found = np.random.default_rng(seed), np.zeros(shape, np.uint16)
    places = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1)
    middles: list[tuple[Points, float]] = []
    while len(middles) < 12:
        middle, radius = rng.uniform(0, shape), rng.uniform(4, 8)
        if all(np.linalg.norm(middle - other) > radius + size + 2 for other, size in middles):
            middles.append((middle, radius))
            found[((places - middle) ** 2).sum(axis=-1) < radius**2] = len(middles)
    return found


@pytest.fixture
def vesicles(tmp_path: Path) -> Path:
    np.save(tmp_path / "vesicles.npy", balls())
    return tmp_path / "vesicles.npy"


def files_of(library: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(library.iterdir())}


@pytest.fixture(scope="module")
def mitochondria(tmp_path_factory: pytest.TempPathFactory) -> Library:
    folder = tmp_path_factory.mktemp("urocell") / "mitochondria"
    return prepare(UROCELL, folder, Making(voxel_nm=VOXEL), Origin("UroCell", "CC-BY-NC-SA-4.0", "Mekuc 2020"))


def winding_number(mesh: Mesh, points: Points) -> NDArray[np.float64]:
    """How often a mesh goes around each point: solid angles by van Oosterom & Strackee 1983."""
    found = np.empty(len(points))
    for number, point in enumerate(points):
        a, b, c = np.moveaxis(mesh.vertices_nm[mesh.faces] - point, 1, 0)
        la, lb, lc = (np.linalg.norm(side, axis=1) for side in (a, b, c))
        volume = np.einsum("ij,ij->i", a, np.cross(b, c))
        dots = [np.einsum("ij,ij->i", *pair) for pair in ((a, b), (a, c), (b, c))]
        below = la * lb * lc + dots[0] * lc + dots[1] * lb + dots[2] * la
        found[number] = 2 * np.arctan2(volume, below).sum() / (4 * np.pi)
    return found


# ---- real mitochondria -----------------------------------------------------------------------------------------------
def test_real_mitochondria_are_closed_and_of_their_volume(mitochondria: Library) -> None:
    """All 16: watertight, and within 2 % of voxel count times voxel size."""
    assert len(mitochondria) == 16
    assert mitochondria.meta["refused"] == []
    assert mitochondria.meta["notes"] == [
        "fib1-1-0-3: the file says voxels of 1e+06 x 1e+06 x 1e+06 nm, 16 x 16 x 15 nm were given and are used"
    ]
    for entry in mitochondria:
        assert entry.watertight
        geometry.check_watertight(entry.shape().surface, entry.id)
        assert entry.volume_nm3 == pytest.approx(entry.voxels * np.prod(VOXEL), rel=0.02)
        assert (entry.source, entry.licence, entry.fold) == ("UroCell", "CC-BY-NC-SA-4.0", "fib1-1-0-3")
    assert sum(not entry.touches_border for entry in mitochondria) == 4


def test_the_field_says_what_is_inside(mitochondria: Library) -> None:
    """The kept field agrees with the mesh at 99.9 % of points in the occupancy cube, and with winding numbers."""
    rng = np.random.default_rng(1)
    for entry in mitochondria:
        shape = entry.shape()
        points = rng.uniform(-0.55, 0.55, (20_000, 3)) * entry.scale_nm + entry.centre_nm
        agree = shape.inside(points) == inside_mesh(shape.surface, points)
        assert agree.mean() > 0.999


def test_what_is_inside_is_what_the_surface_winds_around(mitochondria: Library) -> None:
    """`inside_mesh`, which fields are compared with, against winding numbers: the same at every point."""
    rng = np.random.default_rng(1)
    for entry in mitochondria:
        if not entry.touches_border:
            points = rng.uniform(-0.55, 0.55, (150, 3)) * entry.scale_nm + entry.centre_nm
            surface = entry.shape().surface
            np.testing.assert_array_equal(inside_mesh(surface, points), winding_number(surface, points) > 0.5)


def test_places_are_those_of_the_volume(mitochondria: Library) -> None:
    """The mean of an instance's voxels is where the library says that its solid's centre is, to 2 nm."""
    import nibabel

    labels = np.asarray(nibabel.load(UROCELL).dataobj)
    for entry in mitochondria:
        if entry.touches_border:
            continue
        middle = np.argwhere(labels == entry.label).mean(axis=0) * VOXEL
        np.testing.assert_allclose(entry.place_nm, middle, atol=2)
        np.testing.assert_allclose(geometry.centroid(entry.shape().surface), 0, atol=0.1)


def test_blocks_and_workers_change_no_byte(mitochondria: Library, tmp_path: Path) -> None:
    origin = Origin("UroCell", "CC-BY-NC-SA-4.0", "Mekuc 2020")
    making = Making(voxel_nm=VOXEL, block_voxels=1 << 20)
    again = prepare(UROCELL, tmp_path / "mitochondria", making, origin, workers=2)
    assert files_of(again.folder) == files_of(mitochondria.folder)


def test_a_mask_gives_the_same_mitochondria(mitochondria: Library, tmp_path: Path) -> None:
    """Connected components of all foreground: no two of the instances touch there."""
    making = Making(voxel_nm=VOXEL, foreground=Foreground(binary=True), block_voxels=1 << 21)
    mask = prepare(UROCELL, tmp_path / "mask", making)
    assert sorted(entry.voxels for entry in mask) == sorted(entry.voxels for entry in mitochondria)


def test_a_coarser_level_keeps_them_whole(mitochondria: Library, tmp_path: Path) -> None:
    """Three voxels to one: each in one part, and of its volume to 3 %."""
    coarse = prepare(UROCELL, tmp_path / "coarse", Making(voxel_nm=VOXEL, level_nm=48.0))
    assert len(coarse) + len(coarse.meta["refused"]) == 16
    assert coarse.meta["volumes"]["fib1-1-0-3"]["level_nm"] == [48, 48, 45]
    for entry in coarse:
        fine = mitochondria[entry.id]
        assert entry.volume_nm3 == pytest.approx(fine.volume_nm3, rel=0.03)
        if not entry.touches_border:
            np.testing.assert_allclose(entry.place_nm, fine.place_nm, atol=6)


@pytest.mark.skipif(not ALL_VOLUMES, reason="MISHAPE_DATA is not set: the other volumes are not here")
def test_every_whole_instance_of_urocell(tmp_path: Path) -> None:
    """All 213, of them 75 whole: closed, and within 2 % of their voxels."""
    origin = Origin("UroCell", folds={"fib1-[34]-3-0": "west"})
    library = prepare(ALL_VOLUMES, tmp_path / "all", Making(voxel_nm=VOXEL), origin, workers=2)
    assert len(library) == 213
    assert sum(not entry.touches_border for entry in library) == 75
    assert {entry.fold for entry in library} == {"west", "fib1-0-0-0", "fib1-1-0-3"}
    assert all(entry.watertight for entry in library)
    ratios = [entry.volume_nm3 / (entry.voxels * np.prod(VOXEL)) for entry in library]
    assert max(abs(ratio - 1) for ratio in ratios) < 0.02
    rng = np.random.default_rng(2)
    for entry in library:
        if not entry.touches_border:
            shape = entry.shape()
            points = rng.uniform(-0.55, 0.55, (10_000, 3)) * entry.scale_nm + entry.centre_nm
            assert (shape.inside(points) == inside_mesh(shape.surface, points)).mean() > 0.999


# ---- any organelle ---------------------------------------------------------------------------------------------------
def test_vesicles_are_balls(vesicles: Path, tmp_path: Path) -> None:
    library = prepare(vesicles, tmp_path / "lib", Making(voxel_nm=(10, 10, 10)), Origin(licence="CC0"))
    whole = [entry for entry in library if not entry.touches_border]
    assert len(library) == 12
    assert 0 < len(whole) < 12
    for entry in whole:
        radius = (3 * entry.volume_nm3 / (4 * np.pi)) ** (1 / 3)
        assert 35 < radius < 85
        assert entry.sphericity > 0.95
        assert (entry.genus, entry.branches) == (0, 1)
        assert entry.length_nm == pytest.approx(2 * radius, rel=0.1)
        assert entry.thickness_nm == pytest.approx(2 * radius, rel=0.15)


def test_inclusion_weights_undo_the_window(vesicles: Path, tmp_path: Path) -> None:
    """A box of a in a window of A lies wholly in it with probability (A - a) / A along each axis."""
    library = prepare(vesicles, tmp_path / "lib", Making(voxel_nm=(10, 10, 10)))
    for entry in library:
        if entry.touches_border:
            assert entry.inclusion_weight is None
            continue
        size = np.subtract(*reversed(entry.box_voxels))
        window = np.array([40, 50, 60])
        assert entry.inclusion_weight == pytest.approx(np.prod(window / (window - size)))


def test_labelled_points_are_kept_where_asked_for(vesicles: Path, tmp_path: Path) -> None:
    """As float16, with the labels of the rounded points; near the surface about half of them are inside."""
    making = Making(voxel_nm=(10, 10, 10), occupancy_points=2001, near_points=999, near_nm=8.0)
    library = prepare(vesicles, tmp_path / "lib", making)
    for entry in library:
        shape = entry.shape()
        for name, count in (("occupancy", 2001), ("occupancy_near", 999)):
            points, packed = entry.array(f"{name}_points"), entry.array(f"{name}_inside")
            assert (points.dtype, points.shape, packed.shape) == (np.float16, (count, 3), (-(-count // 8),))
            own = points.astype(np.float64) * entry.scale_nm + entry.centre_nm
            np.testing.assert_array_equal(np.unpackbits(packed, count=count), shape.inside(own))
        assert 0.3 < np.unpackbits(entry.array("occupancy_near_inside"), count=999).mean() < 0.6
        assert np.abs(entry.field()(own)).mean() < 12


def test_whole_ones_alone_and_dust(vesicles: Path, tmp_path: Path) -> None:
    whole = prepare(vesicles, tmp_path / "whole", Making(voxel_nm=(10, 10, 10), whole_only=True))
    assert not any(entry.touches_border for entry in whole)
    large = prepare(vesicles, tmp_path / "large", Making(voxel_nm=(10, 10, 10), min_voxels=800))
    assert all(entry.voxels >= 800 for entry in large)
    assert large.meta["notes"] == [f"vesicles: {12 - len(large)} instances of fewer than 800 voxels are left out"]


def test_folds_by_volume_and_by_region(vesicles: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "others.npy", balls(seed=4))
    making = Making(voxel_nm=(10, 10, 10))
    both = prepare([vesicles, tmp_path / "others.npy"], tmp_path / "two", making)
    assert {entry.fold for entry in both} == {"vesicles", "others"}
    one = prepare([vesicles, tmp_path / "others.npy"], tmp_path / "one", making, Origin(folds={"*": "cell"}))
    assert {entry.fold for entry in one} == {"cell"}
    regions = prepare(vesicles, tmp_path / "regions", making, Origin(regions=(1, 1, 2)))
    for entry in regions:
        middle = np.mean(entry.box_voxels, axis=0)[2]
        assert entry.fold == f"vesicles-0.0.{int(middle >= 30)}"


def test_anisotropic_voxels_and_smoothing_of_slices(tmp_path: Path) -> None:
    """Balls in voxels of 5 x 5 x 20 nm, each slice shifted at random: smoothing along z brings sphericity back."""
    rng = np.random.default_rng(0)
    z, y, x = np.meshgrid(np.arange(30) - 15, np.arange(120) - 60, np.arange(120) - 60, indexing="ij")
    ball = ((4 * z) ** 2 + y**2 + x**2 < 45**2).astype(np.uint8)
    for slice_ in ball:
        slice_[:] = np.roll(slice_, rng.integers(-3, 4, 2), axis=(0, 1))
    np.save(tmp_path / "jitter.npy", ball)
    found = {
        along: [
            *prepare(tmp_path / "jitter.npy", tmp_path / f"s{along}", Making((5, 5, 20), smooth_voxels=(1, 1, along)))
        ]
        for along in (0.4, 2.0)
    }
    (rough,), (smooth,) = found.values()
    assert smooth.sphericity > rough.sphericity
    assert smooth.sphericity > 0.93
    for entry in (rough, smooth):
        assert entry.volume_nm3 == pytest.approx(entry.voxels * 500, rel=0.02)


# ---- interrupted runs ------------------------------------------------------------------------------------------------
def test_an_interrupted_run_goes_on_where_it_was(
    vesicles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    making = Making(voxel_nm=(10, 10, 10), block_voxels=20_000)
    expected = files_of(prepare(vesicles, tmp_path / "a" / "lib", making).folder)
    made: list[int] = []
    shape_of = shapes.shape_of

    def breaking(instance: Any, *others: Any) -> Any:
        made.append(instance.label)
        if len(made) == 5:
            raise KeyboardInterrupt
        return shape_of(instance, *others)

    monkeypatch.setattr(shapes, "shape_of", breaking)
    with pytest.raises(KeyboardInterrupt):
        prepare(vesicles, tmp_path / "lib", making)
    assert not (tmp_path / "lib").exists()
    assert prepare(vesicles, tmp_path / "lib", making).folder == tmp_path / "lib"
    assert sorted(made) == sorted([*range(1, 13), made[4]])  # the one that was interrupted twice, all others once
    assert files_of(tmp_path / "lib") == expected
    assert not (tmp_path / "lib.work").exists()


def stop(*_: Any) -> Any:
    raise KeyboardInterrupt


def interrupted(volume: Path, out: Path, making: Making, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin a library, and end after its blocks."""
    with monkeypatch.context() as patched:
        patched.setattr(shapes, "shape_of", stop)
        with pytest.raises(KeyboardInterrupt):
            prepare(volume, out, making)


def test_a_library_that_was_finished_is_not_made_again(vesicles: Path, tmp_path: Path) -> None:
    """A run that was killed between the library and the end of its work."""
    making = Making(voxel_nm=(10, 10, 10))
    library = prepare(vesicles, tmp_path / "lib", making)
    before = files_of(library.folder)
    (tmp_path / "lib.work").mkdir()
    (tmp_path / "lib.work" / "settings.json").write_text("{}")
    assert files_of(prepare(vesicles, tmp_path / "lib", making).folder) == before
    assert not (tmp_path / "lib.work").exists()


def test_other_settings_of_shapes_keep_the_blocks(
    vesicles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(vesicles, tmp_path / "lib", Making(voxel_nm=(10, 10, 10)), monkeypatch)
    with monkeypatch.context() as patched:
        patched.setattr(ArrayVolume, "read", stop)  # no block is read again
        library = prepare(vesicles, tmp_path / "lib", Making(voxel_nm=(10, 10, 10), min_voxels=800))
    assert all(entry.voxels >= 800 for entry in library)


def test_a_volume_that_changed_is_read_anew(vesicles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    making = Making(voxel_nm=(10, 10, 10))
    before = prepare(vesicles, tmp_path / "before", making)
    source = EmLabels(volume=str(vesicles), voxel_nm=(10, 10, 10))
    hashed = source.content_hash()
    source.keys()
    np.save(tmp_path / "other.npy", balls(seed=9))
    (tmp_path / "other.npy").replace(vesicles)
    after = prepare(vesicles, tmp_path / "after", making)
    assert [entry.voxels for entry in after] != [entry.voxels for entry in before]
    assert source.content_hash() != hashed
    whole = {entry.id: entry for entry in after if not entry.touches_border}
    assert source.keys().keys() == whole.keys()
    for id, entry in whole.items():
        found = source.sample(np.random.default_rng(0), id).surface.vertices_nm
        np.testing.assert_array_equal(found, entry.shape().surface.vertices_nm)

    interrupted(vesicles, tmp_path / "lib", making, monkeypatch)
    np.save(tmp_path / "other.npy", balls(seed=3))
    (tmp_path / "other.npy").replace(vesicles)
    with pytest.raises(
        VolumeError, match="holds an interrupted run of other volumes, of files that have changed since"
    ):
        prepare(vesicles, tmp_path / "lib", making)


def test_another_run_of_other_settings_is_not_gone_on_with(
    vesicles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(vesicles, tmp_path / "lib", Making(voxel_nm=(10, 10, 10)), monkeypatch)
    with pytest.raises(VolumeError, match=CHANGED):
        prepare(vesicles, tmp_path / "lib", Making(voxel_nm=(10, 10, 10), foreground=Foreground(binary=True)))


def test_two_runs_do_not_meet(vesicles: Path, tmp_path: Path) -> None:
    from mishape.engine.lock import locked

    (tmp_path / "lib.work").mkdir()
    with locked(tmp_path / "lib.work"), pytest.raises(DatasetError, match="is in use by another run"):
        prepare(vesicles, tmp_path / "lib", Making(voxel_nm=(10, 10, 10)))


# ---- bad input -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("array", "making", "message"),
    [
        (
            np.ones((4, 4, 4), np.uint8),
            Making(),
            "bad: the file does not say how large its voxels are: give --voxel x,y,z in nm",
        ),
        (
            np.ones((4, 4, 4), np.uint8),
            Making(voxel_nm=(1e6, 1, 1)),
            r"bad: given are voxels of 1e\+06 x 1 x 1 nm: 0.05 to 10000 nm are expected. Give --voxel x,y,z in nm",
        ),
        (np.zeros((4, 4, 4), np.uint8), Making((8, 8, 8)), "no instance found: is bad a volume of labels?"),
        (
            np.ones((9, 9, 9), np.uint8),
            Making((8, 8, 8)),
            r"none of 1 instances could be made a shape \(bad-1: it fills the whole volume: is it the background, or a "
            r"mask turned inside out\?\): is bad a volume of labels\?",
        ),
        (np.full((4, 4, 4), -1, np.int8), Making((8, 8, 8)), "bad: label -1 in voxels"),
        (np.ones((4, 4, 4)), Making((8, 8, 8)), "bad: it holds float64: labels are whole numbers"),
    ],
)
def test_volumes_that_are_no_labels(array: NDArray[Any], making: Making, message: str, tmp_path: Path) -> None:
    np.save(tmp_path / "bad.npy", array)
    with pytest.raises(VolumeError, match=message):
        prepare(tmp_path / "bad.npy", tmp_path / "lib", making)
    assert not (tmp_path / "lib").exists()


def test_one_bad_instance_is_said_and_skipped(vesicles: Path, tmp_path: Path) -> None:
    library = prepare(vesicles, tmp_path / "lib", Making(voxel_nm=(10, 10, 10), max_voxels=2000))
    refused = library.meta["refused"]
    assert refused
    assert len(library) + len(refused) == 12
    for reason in refused:
        assert reason["why"].endswith("voxels, more than 2000: prepare it at a coarser level, or raise --max-voxels")
        assert reason["id"] == f"vesicles-{reason['label']}"
        assert reason["id"] not in library


def test_any_failure_of_one_instance_is_said(vesicles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shape_of = shapes.shape_of

    def failing(instance: Any, *others: Any) -> Any:
        if instance.label == 7:
            raise MemoryError("no room")
        return shape_of(instance, *others)

    monkeypatch.setattr(shapes, "shape_of", failing)
    library = prepare(vesicles, tmp_path / "lib", Making(voxel_nm=(10, 10, 10)))
    assert [reason["why"] for reason in library.meta["refused"]] == ["MemoryError: no room"]
    assert len(library) == 11


def test_what_is_mostly_thin_is_refused_at_a_coarse_level(tmp_path: Path) -> None:
    """A sheet of one voxel, three of which make a coarse one: it would become more than twice as thick."""
    labels = np.zeros((60, 60, 60), np.uint8)
    labels[30, 5:55, 5:55] = 1
    labels[5:20, 5:20, 5:20] = 2
    np.save(tmp_path / "sheet.npy", labels)
    library = prepare(tmp_path / "sheet.npy", tmp_path / "lib", Making(voxel_nm=(8, 8, 8), level_nm=24.0))
    (reason,) = library.meta["refused"]
    assert reason["label"] == 1
    assert reason["why"].endswith(("prepare it at a finer level",))
    (entry,) = library
    assert (entry.label, entry.thickened) == (2, 0)


def test_a_mask_taken_for_labels_is_noticed(tmp_path: Path) -> None:
    np.save(tmp_path / "mask.npy", (balls() > 0).astype(np.uint8) * 255)
    library = prepare(tmp_path / "mask.npy", tmp_path / "lib", Making(voxel_nm=(10, 10, 10)))
    assert library.meta["notes"] == [
        "mask: all foreground has the label 255: if this is a mask of many instances, give --binary, and its connected "
        "components are taken; as it is, all but the largest of them are lost"
    ]
    assert next(iter(library)).largest_part < 0.5
    joined = prepare(tmp_path / "mask.npy", tmp_path / "b", Making((10, 10, 10), foreground=Foreground(binary=True)))
    assert len(joined) == 12


def test_names_must_differ_and_folders_be_new(vesicles: Path, tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match="volumes need names of their own; repeated: vesicles: rename the files"):
        prepare([vesicles, vesicles], tmp_path / "lib", Making(voxel_nm=(10, 10, 10)))
    (tmp_path / "there").mkdir()
    with pytest.raises(VolumeError, match="there' exists: remove it, or give another folder for the library"):
        prepare(vesicles, tmp_path / "there", Making(voxel_nm=(10, 10, 10)))


def test_a_volume_that_cannot_be_read_leaves_nothing(vesicles: Path, tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match="does not exist"):
        prepare(tmp_path / "none.npy", tmp_path / "lib")
    with pytest.raises(VolumeError, match=r"give --voxel x,y,z in nm \(voxel_nm in a scene\)"):
        prepare(vesicles, tmp_path / "lib")
    folds = Origin(folds={"ves*": "one", "zz*": "two"})
    with pytest.raises(VolumeError, match=r"no volume's name is like 'zz\*', which a fold was given for: vesicles$"):
        prepare(vesicles, tmp_path / "lib", Making(voxel_nm=(10, 10, 10)), folds)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("lib")]


def test_what_is_left_out_is_told_and_a_finished_library_named(vesicles: Path, tmp_path: Path) -> None:
    making = Making(voxel_nm=(10, 10, 10))
    everything = prepare(vesicles, tmp_path / "all", making)
    cut = sum(entry.touches_border for entry in everything)
    assert cut
    library = prepare(vesicles, tmp_path / "whole", replace(making, whole_only=True))
    assert any(
        note.startswith(f"vesicles: {cut} of ") and "by the volume's border" in note for note in library.meta["notes"]
    )
    with pytest.raises(
        VolumeError, match=rf"whole' is a finished library of {len(library)} shape\(s\): to make it anew"
    ):
        prepare(vesicles, tmp_path / "whole", making)


# ---- on the command line and in scenes -------------------------------------------------------------------------------
def test_the_command_line(run: Run, vesicles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(vesicles.parent)
    code, out, err = run(
        "prepare",
        str(vesicles),
        "--voxel",
        "10,10,10",
        "-o",
        "lib",
        "--whole-only",
        "--licence",
        "CC0",
        "--fold",
        "ves*=one",
    )
    assert (code, out.splitlines()[0]) == (0, f"{len(open_library('lib'))} shape(s) in lib")
    assert {entry.fold for entry in open_library("lib")} == {"one"}
    for wrong, message in (
        (("--voxel", "8,8"), "'8,8' given: three numbers are expected, for x,y,z"),
        (("--smooth", "1,-1,1"), "'1,-1,1' given: numbers of 0 to 20 are expected"),
        (("--fold", "one"), "'one' given: PATTERN=FOLD is expected, as 'cell1-*=one'"),
    ):
        code, _, err = run("prepare", str(vesicles), "-o", "other", *wrong)
        assert code == 2
        assert message in " ".join(err.split())
    code, _, err = run("prepare", "nowhere.tif", "-o", "other")
    assert code == 1
    assert err.startswith("error: 'nowhere.tif' does not exist: a label volume is expected (.nii, ")


def test_em_mesh_reads_the_fields_of_a_library(mitochondria: Library) -> None:
    entry = next(iter(mitochondria))
    shape = EmMesh(library=str(mitochondria.folder)).sample(np.random.default_rng(0), entry.id)
    assert shape.implicit is not None
    points = np.random.default_rng(1).uniform(*shape.bounds_nm, (1000, 3))
    np.testing.assert_array_equal(shape.inside(points), entry.field()(points) < 0)


def test_em_labels_gives_what_prepare_makes(vesicles: Path, tmp_path: Path) -> None:
    library = prepare(vesicles, tmp_path / "lib", Making((10, 10, 10), whole_only=True), Origin("cells", "CC0"))
    source = EmLabels(volume=str(vesicles), voxel_nm=(10, 10, 10), source="cells", licence="CC0")
    assert source.keys() == {entry.id: "vesicles" for entry in library}
    for entry in library:
        shape, expected = source.sample(np.random.default_rng(0), entry.id), entry.shape()
        np.testing.assert_array_equal(shape.surface.vertices_nm, expected.surface.vertices_nm)
        assert (shape.source, shape.licence, shape.fold) == ("cells", "CC0", "vesicles")


def test_em_labels_leaves_out_what_has_no_shape(tmp_path: Path) -> None:
    """As a library does: the plate is one voxel thick, and the level four of them."""
    labels = np.zeros((48, 48, 48), np.uint8)
    labels[8:32, 8:32, 8:32] = 1
    labels[36:37, 4:44, 4:44] = 2
    np.save(tmp_path / "cells.npy", labels)
    source = EmLabels(volume=str(tmp_path / "cells.npy"), voxel_nm=(10, 10, 10), level_nm=40)
    assert source.keys() == {"cells-1": "cells"}
    assert source.sample(np.random.default_rng(0), None).id == "cells-1"
    with pytest.raises(ShapeError, match=r"cells.npy' has no shape 'cells-2': did you mean 'cells-1'\?"):
        source.sample(np.random.default_rng(0), "cells-2")


def test_a_dataset_of_em_labels_stands_alone(run: Run, vesicles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the volume gone, the dataset's copy of the shapes makes the same images."""
    monkeypatch.chdir(vesicles.parent)
    Path("scene.yaml").write_text(
        json.dumps(
            {
                "mishape": 1,
                "samples": 2,
                "objects": [
                    {
                        "shape": {"kind": "em_labels", "volume": vesicles.name, "voxel_nm": [10, 10, 10]},
                        "labeler": {"kind": "volume", "density_per_um3": 1e5},
                    }
                ],
                "views": {
                    "epi": {
                        "grid": {"shape": [1, 24, 24], "pixel_nm": 50},
                        "microscope": {"kind": "epi", "preset": "epi2"},
                    }
                },
            }
        )
    )
    assert run("generate", "scene.yaml", "-o", "data", "--workers", "1")[0] == 0
    vesicles.unlink()
    code, out, err = run("verify", "data")
    assert code == 0, err
    assert "remade with the same bytes" in out
