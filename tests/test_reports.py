"""Contact sheets and the report of a dataset."""

from __future__ import annotations

import copy
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mishape
from mishape.engine.columns import silhouette
from mishape.engine.grid import Grid
from mishape.engine.types import Emitters, Mesh, Sample
from mishape.plugins.microscopes.epi import Epi
from mishape.plugins.reports import drawing
from mishape.plugins.reports.field import Field
from mishape.plugins.reports.html import _splits, report
from mishape.plugins.reports.look import MAX_RECORDS, UNTITLED, Look, spaced
from mishape.plugins.reports.panels import Panel, chosen_planes, panels_of
from mishape.plugins.reports.pictures import contact_sheet
from mishape.plugins.reports.rendering import Window, depth_nm, xz_section
from mishape.plugins.reports.svg import histogram

MITO = {
    "shape": {"kind": "em_mesh", "library": "neuropil"},
    "pose": {"rotation": "uniform"},
    "labeler": {"kind": "surface", "density_per_um2": 500},
}
EPI, CON = {"kind": "epi", "preset": "epi1"}, {"kind": "confocal", "preset": "con1"}
CAMERA = {"kind": "scmos", "background": 20}


def epi_view(*shape: int, **more: Any) -> dict[str, Any]:
    return {"grid": {"shape": list(shape), "pixel_nm": 109}, "microscope": EPI, "noise": CAMERA, **more}


STACK = {"grid": {"shape": [3, 24, 24], "pixel_nm": 50, "z_step_nm": 250}, "microscope": EPI, "noise": CAMERA}
SCENES: dict[str, dict[str, Any]] = {
    "two_views": {
        "objects": [MITO],
        "views": {"epi": STACK, "con": {"grid": {"shape": [1, 30, 30], "pixel_nm": 40}, "microscope": CON}},
        "truths": {"masks_2d": {}, "masks_3d": {}},
    },
    "nothing": {"objects": [], "views": {"epi": epi_view(1, 16, 16)}},
    "montage": {"objects": [MITO], "views": {"epi": epi_view(1, 16, 12, montage=[2, 3])}, "truths": {"masks_2d": {}}},
    "colours": {
        "objects": [
            {**MITO, "channel": "red", "pose": {"center_nm": [-500, 0, 0]}},
            {**MITO, "channel": "green", "pose": {"center_nm": [500, 0, 0]}},
        ],
        "views": {
            "red": epi_view(1, 16, 16, sees={"red": 1, "green": 0.1}),
            "green": epi_view(1, 16, 16, sees={"green": 1}),
        },
    },
    "wide": {"objects": [MITO], "views": {"epi": epi_view(1, 9, 600)}},
    "tiny": {
        "objects": [{**MITO, "pose": {"rotation": "uniform", "center_nm": [2500, -1800, 0]}}],
        "views": {"epi": epi_view(1, 100, 100)},
        "truths": {"masks_2d": {}, "masks_3d": {"voxel_nm": 50, "z_margin_nm": 200}},
    },
    "planes": {
        "objects": [MITO],
        "views": {"epi": {**STACK, "grid": {"shape": [5, 256, 256], "pixel_nm": 20, "z_step_nm": 100}}},
        "truths": {"masks_2d": {}, "masks_3d": {}},
    },
    "one_pixel": {"objects": [MITO], "views": {"epi": epi_view(1, 1, 1)}},
}


@cache
def sample(name: str) -> Sample:
    return mishape.simulate(mishape.load_spec({"mishape": 1, "seed": 5, **SCENES[name]}).scene(0), describe=False)


@cache
def panels(name: str, view: str) -> dict[str, Panel]:
    return panels_of(Field(sample(name), view))


def close_to(picture: drawing.Picture, colour: tuple[int, int, int]) -> np.ndarray[Any, Any]:
    """Return which pixels have a colour's hue, however dark."""
    level = picture.max(axis=-1, keepdims=True).astype(float)
    off = np.abs(picture / np.maximum(level, 1) - np.array(colour) / max(colour)).max(axis=-1)
    return np.asarray((off < 0.1) & (level[..., 0] > 60))


@pytest.mark.parametrize("name", SCENES)
def test_every_scene_gives_a_sheet(name: str) -> None:
    sheet = contact_sheet(sample(name))
    assert sheet.mode == "RGB"
    assert sheet.width <= 2000
    for view in SCENES[name]["views"]:
        for panel in panels(name, view).values():
            rows, columns = panel.picture.shape[:2]
            assert columns <= 512
            assert rows <= 2 * 512
            assert sheet.width > columns
            assert sheet.height > rows


def test_panels_of_two_views() -> None:
    fixed = ["light", "mask", "instances", "xz", "surface"]
    assert list(panels("two_views", "epi")) == ["camera0", "camera1", "camera2", *fixed]
    assert list(panels("two_views", "con")) == ["camera0", *fixed]
    # 24 pixels grow 9 times, 30 pixels 7 times: the least whole factor that reaches 200.
    assert panels("two_views", "epi")["camera0"].picture.shape == (216, 216, 3)
    assert panels("two_views", "con")["camera0"].picture.shape == (210, 210, 3)
    assert [panels("two_views", "epi")[f"camera{n}"].note for n in range(3)] == [f"z {z} nm" for z in (-250, 0, 250)]


@pytest.mark.parametrize(
    ("planes", "shown"),
    [
        ([0], [0]),
        ([500, 0, 250], [1, 2, 0]),
        ([-500, -250, 0, 250, 500], [0, 2, 4]),
        ([900, 300, 100, -50], [3, 0]),
    ],
)
def test_at_most_three_planes_are_shown(planes: list[float], shown: list[int]) -> None:
    assert chosen_planes(np.array(planes, dtype=float)) == shown


def test_small_shapes_are_shown_zoomed_and_framed() -> None:
    shown, field = panels("tiny", "epi"), Field(sample("tiny"), "epi")
    assert {name: panel.label for name, panel in shown.items()} == {
        "camera0": "camera",
        "light": "noise-free, zoomed",
        "mask": "2D mask, zoomed",
        "instances": "3D mask, zoomed",
        "xz": "XZ, zoomed",
        "surface": "surface, zoomed",
    }
    assert shown["instances"].note == "50 nm voxels, max over z"
    frame = np.argwhere((shown["camera0"].picture == drawing.FRAME).all(axis=-1))
    seen = (frame.mean(axis=0) - 99.5) * 109 / 2
    middle = sample("tiny").shapes[0].bounds_nm.mean(axis=0)
    assert seen == pytest.approx([middle[1], middle[0]], abs=60)
    assert np.ptp(frame, axis=0) * 109 / 2 == pytest.approx([field.shown.columns * field.shown.nm_per_px] * 2, abs=120)


def test_zoomed_masks_lie_under_the_zoomed_outline() -> None:
    shown, field = panels("tiny", "epi"), Field(sample("tiny"), "epi")
    fine = np.isfinite(depth_nm(sample("tiny").shapes[0].surface, field.shown))
    mask = (shown["mask"].picture == 255).all(axis=-1)
    mask[170:, 100:] = fine[170:, 100:] = False  # the scale bar
    edge = 109 / field.shown.nm_per_px * 2 * (fine.sum() ** 0.5)
    assert (mask ^ fine).sum() < edge
    assert shown["light"].nm_per_px == field.shown.nm_per_px < field.whole.nm_per_px / 2


def test_brightest_pixel_of_small_shapes_is_not_saturated() -> None:
    image = sample("tiny").images["epi"]
    assert Field(sample("tiny"), "epi").shown_range(image)[1] == image.max()


def test_planes_of_a_view_share_one_grey_scale() -> None:
    image = sample("two_views").images["epi"]
    low, high = drawing.shown_range(image)
    shown = panels("two_views", "epi")["camera2"].picture[4::9, 4::9, 0]
    expected = np.clip((image[2] - low) / (high - low), 0, 1) * 255
    assert np.abs(shown[:20, :12] - expected[:20, :12]).max() <= 0.5  # the scale bar lies in the lower right


def test_surface_is_orange_where_it_is_in_focus_and_grey_elsewhere() -> None:
    picture = panels("two_views", "con")["surface"].picture
    assert close_to(picture, drawing.ORANGE).sum() > 500
    far = {**MITO, "pose": {"rotation": "uniform", "center_nm": [0, 0, 3000]}}
    scene = {**SCENES["two_views"], "mishape": 1, "seed": 5, "objects": [far]}
    made = mishape.simulate(mishape.load_spec(scene).scene(0), describe=False)
    moved = panels_of(Field(made, "con"))["surface"].picture
    assert not close_to(moved, drawing.ORANGE).any()


def test_outline_lies_on_the_border_of_the_silhouette() -> None:
    panel = panels("two_views", "epi")["light"]
    drawn = (panel.picture == drawing.CYAN).all(axis=-1)
    fine = silhouette(sample("two_views").shapes[0].surface, Grid((1, 216, 216), 50 / 9))
    near = np.zeros_like(fine)
    for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        near |= np.roll(fine, (dy, dx), (0, 1)) != fine
    assert drawn.any()
    assert not (drawn & ~near).any()
    assert (drawn | ~(near & fine))[:180].all()  # unbroken; the scale bar lies below


def test_outline_stays_open_at_the_edge_of_the_picture() -> None:
    mask = np.zeros((6, 6), dtype=bool)
    mask[:3, :3] = True
    assert np.argwhere(drawing.outline(mask)).tolist() == [[0, 2], [1, 2], [2, 0], [2, 1], [2, 2]]


@pytest.mark.parametrize(("nm_per_px", "length_nm"), [(10.0, 200.0), (109 / 4, 1000.0), (70.0, 2000.0)])
def test_scale_bar_is_as_long_as_it_says(nm_per_px: float, length_nm: float) -> None:
    picture = drawing.with_scale_bar(np.zeros((200, 200, 3), dtype=np.uint8), nm_per_px)
    row = (picture[200 - 8 - 2] == 255).all(axis=-1)
    ends = np.flatnonzero(np.diff(np.pad(row.astype(int), 1)))
    assert max(np.diff(ends)[::2]) == round(length_nm / nm_per_px)
    assert drawing.length_text(length_nm) in ("200 nm", "1 µm", "2 µm")


def test_montage_tiles_its_silhouettes_like_its_masks() -> None:
    scene = sample("montage")
    mask = scene.truths["epi.masks_2d"]
    assert isinstance(mask, mishape.Raster)
    scale = panels("montage", "epi")["mask"].picture.shape[0] // mask.data.shape[1]
    outlined = np.argwhere((panels("montage", "epi")["light"].picture == drawing.CYAN).all(axis=-1)) // scale
    assert len(outlined) > 20
    for row, column in outlined:
        assert mask.data[0, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2].any()


def test_section_of_a_montage_shows_the_brightest_field() -> None:
    scene, panel = sample("montage"), panels("montage", "epi")["xz"]
    tile, x, y = Field(scene, "epi").brightest()
    light = scene.photons["epi"][0]
    row, column = np.unravel_index(light.argmax(), light.shape)
    assert tile == row // 16 * 3 + column // 12
    assert (x / 109 + 5.5, y / 109 + 7.5) == pytest.approx((column % 12, row % 16))
    assert panel.label.startswith("XZ of one field")


@pytest.mark.parametrize("level", [0, 128, 255])
@pytest.mark.parametrize("on_paper", [False, True])
def test_scale_bar_stands_out_from_any_ground(level: int, on_paper: bool) -> None:
    picture = np.full((200, 200, 3), level, dtype=np.uint8)
    part = drawing.with_scale_bar(picture, 10.0, on_paper)[170:, 80:].astype(int)
    ink = 0 if on_paper else 255
    around = part[19, -60]
    assert abs(part - ink).min() == 0
    assert abs(around - ink).min() > 150


def test_each_colour_shows_its_own_objects() -> None:
    for view, side in (("red", np.less), ("green", np.greater)):
        columns = np.argwhere((panels("colours", view)["light"].picture == drawing.CYAN).all(axis=-1))[:, 1]
        assert side(columns.mean(), 104)


def test_depth_is_that_of_the_side_towards_the_objective() -> None:
    corners = np.array([[-50.0, -50, -7], [50, -50, -7], [50, 50, -7], [-50, 50, -7]])
    squares = np.concatenate([corners, corners + np.array([0, 0, 20])])
    faces = np.array([[0, 2, 1], [0, 3, 2], [4, 5, 6], [4, 6, 7]])
    depth = depth_nm(Mesh(squares, faces), Window(5, 5, 30.0))
    assert np.isfinite(depth).sum() == 9
    assert depth[2, 2] == pytest.approx(-7)


class Opaque:
    """A microscope that shows no PSF."""

    kind = "opaque"

    def image(self, emitters: Emitters, grid: Grid) -> Any:
        return Epi(na=1.42, emission_nm=688.0).image(emitters, grid)


@pytest.mark.parametrize(("microscope", "area_nm2"), [(Epi(na=1.42, emission_nm=688.0), 60.0**2), (Opaque(), 1.0)])
def test_section_agrees_with_the_images_of_the_microscope(microscope: Any, area_nm2: float) -> None:
    rng = np.random.default_rng(1)
    emitters = Emitters(rng.normal(0, 200, (50, 3)), np.ones(50))
    grid = Grid((3, 25, 25), 60.0, z_step_nm=300)
    z, y, x = grid.centers_nm()
    section = xz_section(microscope, emitters, x[4:], z, float(y[14]))
    expected = np.asarray(microscope.image(emitters, grid))[:, 14, 4:]
    assert np.abs(section * area_nm2 - expected).max() < 0.1 * expected.max()


def test_histogram_escapes_and_counts() -> None:
    drawn = histogram("<b>", [0.0, 1.0, 1.0, 4.0], "a & b")
    assert "&lt;b&gt;" in drawn
    assert "a &amp; b" in drawn
    assert drawn.count("<rect") == 3
    assert "<rect" not in histogram("none", [], "x")


def test_logarithmic_counts_are_named_by_their_true_numbers() -> None:
    drawn = histogram("n", [0.0] * 5000 + [1.0] * 10 + [2.0], "x", logarithmic=True)
    ticks = Page(drawn).text
    for count in ("10", "100", "1,000", "5,000"):
        assert count in ticks
    assert drawn.count("<rect") == 3


SPEC = """\
# <script>alert(1)</script> & more
mishape: 1
seed: 2
samples: 3
objects:
  - shape: {kind: em_mesh, library: neuropil}
    labeler: {kind: surface, density_per_um2: 300}
views:
  epi: {grid: {shape: [1, 16, 16], pixel_nm: 109}, microscope: {kind: epi, preset: epi1}, noise: {kind: scmos}}
truths: {masks_2d: {}}
dataset: {shard_size: 2}
"""


class Page(HTMLParser):
    """Collects the tags, their attributes and the text of a page, and insists that tags close in order."""

    VOID = ("meta", "img", "br", "link")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> mishape.Dataset:
    folder: Path = tmp_path_factory.mktemp("report")
    (folder / "scene.yaml").write_text(SPEC, encoding="utf-8")
    return mishape.generate(folder / "scene.yaml", folder / "out")


def test_report_is_written_and_the_same_each_time(dataset: mishape.Dataset) -> None:
    assert report(dataset) == (dataset.folder / "report.html").read_text(encoding="utf-8")


def test_report_is_one_whole_file(dataset: mishape.Dataset) -> None:
    page = Page(report(dataset))
    tags = [tag for tag, _ in page.seen]
    assert not {"script", "link", "iframe", "object"} & set(tags)
    sources = [given["src"] or "" for _, given in page.seen if "src" in given]
    assert len(sources) == 4, "a gallery of its one view, and three samples"
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert {tag for tag, given in page.seen if "href" in given} == {"a"}
    assert "url(" not in report(dataset)


def test_report_says_what_is_in_the_dataset(dataset: mishape.Dataset) -> None:
    text = Page(report(dataset)).text
    for expected in ("<script>alert(1)</script> & more", "CC-BY-4.0", "Numerical aperture", "mishape verify"):
        assert expected in text
    assert dataset.manifest.spec_hash in text
    assert "all 3 samples" in text
    assert str(dataset.folder) not in text


def with_manifest(dataset: mishape.Dataset, **changes: Any) -> mishape.Dataset:
    changed = copy.copy(dataset)
    changed.manifest = dataset.manifest.model_copy(update=changes)
    return changed


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("# yaml-language-server: $schema=x.json\n#  02 A & b.\n# More\nmishape: 1\n", "02 A & b."),
        ("mishape: 1\n# late\n", UNTITLED),
        ("", UNTITLED),
    ],
)
def test_title_is_the_first_comment_of_the_scene(dataset: mishape.Dataset, text: str, title: str) -> None:
    changed = with_manifest(dataset, spec_text=text)
    assert Look(changed).title == title


def test_splits_without_samples_are_named(dataset: mishape.Dataset) -> None:
    assert "Warning" not in report(dataset)
    splits = {"all": 0.9, "test": 0.1, "none": 0.0}
    changed = with_manifest(dataset, splits=splits)
    assert "Warning: no sample in test among all 3 samples" in Page(_splits(Look(changed))).text


def test_large_datasets_are_looked_at_evenly() -> None:
    numbers = spaced(1_000_000, MAX_RECORDS)
    assert (len(numbers), numbers[0], numbers[-1]) == (200, 0, 999_999)
    assert spaced(3, MAX_RECORDS) == [0, 1, 2]
    assert spaced(1, MAX_RECORDS) == [0]
