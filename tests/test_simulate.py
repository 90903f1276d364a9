"""One sample, from scene to record: poses, channels, montages, truths that lie where the light is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mishape
from mishape.engine.errors import EmitterError
from mishape.engine.types import Raster

EPI = {"kind": "epi", "preset": "epi2"}
SPHERE = {"kind": "implicit", "form": "sphere", "radius_nm": 400}


def scene_of(
    *objects: dict[str, Any], grid: dict[str, Any], truths: dict[str, Any] | None = None, **view: Any
) -> mishape.Scene:
    views = {"epi": {"grid": grid, "microscope": EPI, **view}}
    return mishape.Scene.model_validate({"objects": list(objects), "views": views, "truths": truths or {}})


def centre_px(image: np.ndarray) -> tuple[float, float]:
    """Centre of mass (row, column)."""
    rows, columns = np.indices(image.shape)
    return float((rows * image).sum() / image.sum()), float((columns * image).sum() / image.sum())


@pytest.mark.parametrize("shape", [(1, 64, 64), (1, 65, 63)])
@pytest.mark.parametrize("definition", ["projection", "touched", "emitters", "blur"])
def test_mask_of_a_sphere_is_centred_on_its_light(shape: tuple[int, int, int], definition: str) -> None:
    # On a quarter of a pixel from the nearest centre or corner, so that the raster of a disk is nearly symmetric.
    place = [125.0, -200.0, 0.0]
    labeler = {"kind": "surface", "density_per_um2": 200_000}
    scene = scene_of(
        {"shape": SPHERE, "pose": {"center_nm": place}, "labeler": labeler},
        grid={"shape": shape, "pixel_nm": 50},
        truths={"masks_2d": {"definition": definition}},
    )
    sample = mishape.simulate(scene)
    mask = sample.truths["epi.masks_2d"]
    assert isinstance(mask, Raster)
    # Tails that the field's edge cuts off would bias the light's centre: what lies above a fifth of the peak is whole.
    light = sample.photons["epi"][0]
    core = np.maximum(light - light.max() / 5, 0)
    assert_allclose(centre_px(mask.data[0] > 0), centre_px(core), atol=0.06)
    expected = (place[1] / 50 + (shape[1] - 1) / 2, place[0] / 50 + (shape[2] - 1) / 2)
    assert_allclose(centre_px(mask.data[0] > 0), expected, atol=0.06)


def test_projection_covers_the_disk_of_a_sphere() -> None:
    scene = scene_of({"shape": SPHERE}, grid={"shape": [1, 40, 41], "pixel_nm": 40}, truths={"masks_2d": {}})
    mask = mishape.simulate(scene).truths["epi.masks_2d"].data[0]
    y, x = (np.arange(40) - 19.5) * 40, (np.arange(41) - 20) * 40
    radius = np.hypot(y[:, None], x[None, :])
    assert mask[radius < 398].all()
    assert not mask[radius > 402].any()


def test_touched_pixels_are_those_that_dense_labels_mark() -> None:
    """Whatever the density is; all that the silhouette covers are among them."""
    grid, masks = {"shape": [1, 40, 41], "pixel_nm": 40}, {}
    for definition, density in (("projection", 1), ("touched", 1), ("emitters", 1e6)):
        thing = {"shape": SPHERE, "labeler": {"kind": "surface", "density_per_um2": density}}
        sample = mishape.simulate(scene_of(thing, grid=grid, truths={"masks_2d": {"definition": definition}}))
        masks[definition] = sample.truths["epi.masks_2d"].data[0] > 0
    assert not (masks["projection"] & ~masks["touched"]).any()
    assert not (masks["touched"] & ~masks["emitters"]).any()
    # What is touched by less than a quarter of a pixel may be missed.
    assert (masks["emitters"] & ~masks["touched"]).sum() < 0.05 * masks["touched"].sum()
    wider = (np.sqrt(masks["touched"].sum() / np.pi) - np.sqrt(masks["projection"].sum() / np.pi)) * 40
    assert 12 < wider < 28  # half a pixel, 20 nm; less along the diagonals' corners


def test_masks_3d_fill_a_sphere_at_a_finer_voxel() -> None:
    grid = {"shape": [1, 32, 32], "pixel_nm": 50}
    truths = {"masks_3d": {"voxel_nm": 20, "z_margin_nm": 500}}
    solid = mishape.simulate(scene_of({"shape": SPHERE}, grid=grid, truths=truths)).truths["epi.masks_3d"]
    assert solid.data.shape == (50, 80, 80)
    assert_allclose((solid.data > 0).sum() * 20**3, 4 / 3 * np.pi * 400**3, rtol=0.01)


def test_instances_are_numbered_from_one() -> None:
    objects = [{"shape": SPHERE, "pose": {"center_nm": [x, 0, 0]}} for x in (-800, 800)]
    grid = {"shape": [1, 32, 64], "pixel_nm": 50}
    sample = mishape.simulate(scene_of(*objects, grid=grid, truths={"masks_3d": {}, "masks_2d": {"instances": True}}))
    for name in ("epi.masks_3d", "epi.masks_2d"):
        labels = sample.truths[name].data[0]
        assert labels[16, 16] == 1
        assert labels[16, 48] == 2
        assert set(np.unique(labels)) == {0, 1, 2}


def test_in_focus_band_is_half_of_the_axial_peak() -> None:
    grid = {"shape": [2, 16, 16], "pixel_nm": 100, "planes_nm": [0, 600]}
    sample = mishape.simulate(scene_of({"shape": SPHERE}, grid=grid, truths={"in_focus": {}}))
    bands = sample.truths["epi.in_focus_band_nm"]
    # The axial FWHM of epi2 is 593 nm (PHYSICS section 2).
    assert_allclose(bands, [[-296.5, 296.5], [303.5, 896.5]], atol=3)
    mask = sample.truths["epi.in_focus"].data
    assert mask[0].sum() > mask[1].sum() > 0, "the upper plane's band cuts the sphere further from its equator"


def test_channels_bleed_by_their_weight() -> None:
    objects = [
        {"shape": SPHERE, "channel": "green", "pose": {"center_nm": [-700, 0, 0]}},
        {"shape": SPHERE, "channel": "red", "pose": {"center_nm": [700, 0, 0]}},
    ]
    grid = {"shape": [1, 32, 64], "pixel_nm": 50}

    def photons(**sees: float) -> np.ndarray:
        scene = scene_of(*objects, grid=grid, sees=sees, truths={"masks_2d": {}})
        sample = mishape.simulate(scene)
        assert not sample.truths["epi.masks_2d"].data[0, :, 32:].any(), "the mask shows what the view is for"
        return sample.photons["epi"]

    bled = photons(green=1, red=0.25)
    red = (photons(green=1, red=0.999) - photons(green=1)) / 0.999
    assert_allclose(bled - photons(green=1), 0.25 * red, atol=1e-5 * red.max())


def test_a_blur_mask_shows_what_the_view_is_for() -> None:
    objects = [
        {
            "shape": SPHERE,
            "channel": "green",
            "pose": {"center_nm": [-700, 0, 0]},
            "labeler": {"kind": "surface", "photons": 5000},
        },
        {"shape": SPHERE, "channel": "red", "pose": {"center_nm": [700, 0, 0]}},
    ]
    grid = {"shape": [1, 32, 64], "pixel_nm": 50}
    truths = {"masks_2d": {"definition": "blur"}}
    mask = (
        mishape.simulate(scene_of(*objects, grid=grid, sees={"green": 0.1, "red": 1}, truths=truths))
        .truths["epi.masks_2d"]
        .data
    )
    assert mask[0, 16, 46]
    assert not mask[0, :, :32].any(), "green is brighter here, but it only bleeds into the red view"


def test_fields_of_a_montage_have_counts_of_their_own() -> None:
    document = {
        "mishape": 1,
        "objects": [{"count": {"$integer": [0, 3]}, "shape": SPHERE}],
        "views": {"epi": {"grid": {"shape": [1, 24, 24], "pixel_nm": 80}, "microscope": EPI, "montage": [2, 2]}},
    }
    spec = mishape.load_spec(document)
    counts = {tuple(sum(thing.tile == tile for thing in spec.scene(n).objects) for tile in range(4)) for n in range(20)}
    assert len(counts) > 10
    assert {count for fields in counts for count in fields} == {0, 1, 2, 3}


def test_emitters_are_checked() -> None:
    assert mishape.Emitters([[0, 0, 0]], [100]).xyz_nm.shape == (1, 3)
    with pytest.raises(mishape.MishapeError, match=r"emitters need \(n, 3\) positions .* \(2, 3\) and \(1,\) given"):
        mishape.Emitters(np.zeros((2, 3)), np.ones(1))
    with pytest.raises(mishape.MishapeError, match="emitters need finite positions"):
        mishape.Emitters([[0, np.nan, 0]], [1])


def test_a_montage_is_its_fields_side_by_side() -> None:
    document = {
        "mishape": 1,
        "objects": [{"shape": SPHERE, "pose": {"center_nm": [{"$uniform": [-300, 300]}, 0, 0]}}],
        "views": {"epi": {"grid": {"shape": [1, 24, 24], "pixel_nm": 80}, "microscope": EPI, "montage": [2, 3]}},
        "truths": {"masks_2d": {}, "emitters": {}},
    }
    scene = mishape.load_spec(document).scene(0)
    sample = mishape.simulate(scene)
    assert len(scene.objects) == 6
    assert sample.images["epi"].shape == sample.truths["epi.masks_2d"].data.shape == (1, 48, 72)
    assert len({thing.pose.center_nm for thing in scene.objects}) == 6, "fields are independent"
    only_fifth = [thing.model_copy(update={"tile": 0}) for thing in scene.objects if thing.tile == 4]
    view = scene.views["epi"].model_copy(update={"montage": (1, 1)})
    alone = mishape.simulate(scene.model_copy(update={"objects": only_fifth, "views": {"epi": view}}))
    assert_allclose(sample.photons["epi"][:, 24:, 24:48], alone.photons["epi"])


def test_shapes_beyond_the_field_are_flagged() -> None:
    grid = {"shape": [1, 32, 32], "pixel_nm": 50}
    inside = {"shape": SPHERE}
    across = {"shape": SPHERE, "pose": {"center_nm": [700, 0, 0]}}
    record = mishape.simulate(scene_of(inside, across, grid=grid)).record
    assert [thing["truncated"] for thing in record["objects"]] == [[], ["epi"]]


def test_a_record_reproduces_its_sample(sphere_scene: dict[str, Any]) -> None:
    first = mishape.simulate(mishape.load_spec(sphere_scene).scene(3))
    again = mishape.simulate(mishape.Scene.model_validate(first.record["scene"]))
    assert_array_equal(first.images["epi"], again.images["epi"])
    assert first.record == again.record


def test_pose_brings_the_shape_to_the_camera() -> None:
    box = {"kind": "implicit", "form": "ellipsoid", "semi_axes_nm": [100, 200, 400]}
    pose = {"rotation": [0, 90, 0], "center_nm": [50, 0, 0], "scale": 1.5}
    sample = mishape.simulate(scene_of({"shape": box, "pose": pose}, grid={"shape": [1, 32, 32], "pixel_nm": 50}))
    low, high = sample.emitters.xyz_nm.min(axis=0), sample.emitters.xyz_nm.max(axis=0)
    assert_allclose((high - low) / 2, [600, 300, 150], rtol=0.03)
    assert_allclose((high + low) / 2, [50, 0, 0], atol=12)


def test_no_objects_make_a_dark_image() -> None:
    sample = mishape.simulate(
        scene_of(grid={"shape": [1, 8, 8], "pixel_nm": 100}, truths={"masks_2d": {}, "emitters": {}})
    )
    assert not sample.images["epi"].any()
    assert sample.truths["emitters"].shape == (0, 5)


def test_origin_by_name() -> None:
    grid = {"shape": [1, 32, 32], "pixel_nm": 50}
    mesh = {"kind": "em_mesh", "library": "neuropil"}
    for origin in ("own", "centroid", "surface", "box"):
        thing = {"shape": mesh, "shape_id": "mito04", "pose": {"origin": origin, "rotation": "x90"}}
        shape = mishape.simulate(scene_of(thing, grid=grid)).shapes[0]
        if origin == "box":
            assert_allclose(shape.bounds_nm.mean(axis=0), 0, atol=1e-9)
        corners = shape.surface.vertices_nm[shape.surface.faces]
        areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
        if origin == "surface":
            assert_allclose(np.average(corners.mean(axis=1), axis=0, weights=areas), 0, atol=1e-9)


def test_a_detector_is_held_to_its_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    from mishape.plugins.noises.none import NoNoise

    monkeypatch.setattr(NoNoise, "detect", lambda self, photons, rng: photons)
    with pytest.raises(mishape.PluginError, match=r"noise 'none' gave float32 .* must return uint16"):
        mishape.simulate(scene_of({"shape": SPHERE}, grid={"shape": [1, 8, 8], "pixel_nm": 100}))


@pytest.mark.parametrize("name", ["../../x", "epi.image", "a b", ""])
def test_a_truth_cannot_name_another_file(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from mishape.plugins.truths.emitters import EmitterTable

    monkeypatch.setattr(EmitterTable, "measure", lambda self, sample, rng: {name: np.zeros((1, 1))})
    scene = scene_of({"shape": SPHERE}, grid={"shape": [1, 8, 8], "pixel_nm": 100}, truths={"emitters": {}})
    with pytest.raises(mishape.PluginError, match="gave an array named"):
        mishape.simulate(scene)


def test_emitters_below_the_coverslip_name_the_view(sphere_scene: dict[str, Any]) -> None:
    """Two views may have two depths; what a view does not see is not its error."""
    scope = {"kind": "epi", "preset": "epi2", "sample_index": 1.33, "depth_nm": 50}
    sphere_scene["views"]["epi"]["microscope"] = scope
    with pytest.raises(
        EmitterError, match=r"^views\.epi\.microscope: an emitter at z -\d+ nm lies below the coverslip"
    ):
        mishape.simulate(mishape.load_spec(sphere_scene).scene(0))
    sphere_scene["views"]["epi"]["sees"] = {"main": 0}
    assert not mishape.simulate(mishape.load_spec(sphere_scene).scene(0)).photons["epi"].any()


def test_saturated_pixels_are_counted(sphere_scene: dict[str, Any]) -> None:
    """The record says which share of a view's pixels stands at the converter's limit, whatever its bits."""
    sphere_scene["views"]["epi"]["noise"] = {"kind": "scmos", "bit_depth": 8, "gain_e_per_count": 1}
    sample = mishape.simulate(mishape.load_spec(sphere_scene).scene(0))
    share = (sample.images["epi"] == 255).mean()
    assert sample.record["views"]["epi"]["saturated"] == share > 0
    sphere_scene["views"]["epi"]["noise"] = {"kind": "none"}
    assert mishape.simulate(mishape.load_spec(sphere_scene).scene(0)).record["views"]["epi"]["saturated"] == 0
