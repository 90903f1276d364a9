"""The page of a shape library: its numbers, its pictures, and that it stands alone."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Run
from PIL import Image

from mishape.em.volumes import ArrayVolume
from mishape.engine.errors import VolumeError
from mishape.engine.library import Library, open_library
from mishape.engine.library_writing import write_library
from mishape.engine.sampled import SampledField
from mishape.engine.types import Mesh, Shape
from mishape.plugins.reports.drawing import CYAN, Picture
from mishape.plugins.reports.library_numbers import Measure, Values
from mishape.plugins.reports.library_page import library_page, write_library_page
from mishape.plugins.reports.library_pictures import Sections, planes_of, surface_picture
from mishape.plugins.reports.raw_volumes import opened_raws, section
from mishape.plugins.reports.rendering import joined
from mishape.plugins.reports.svg import histogram
from mishape.plugins.shapes.em_mesh import EmMesh

HOSTILE = "<script>alert(1)</script>"
META: dict[str, Any] = {
    "name": f"lib & {HOSTILE}",
    "source": HOSTILE,
    "licence": "CC-BY-4.0",
    "citation": "https://doi.org/10.0/none",
    "volumes": {
        HOSTILE: {
            "shape": [64, 32, 16],
            "voxel_nm": [8.0, 8.0, 30.0],
            "level_nm": [16.0, 16.0, 30.0],
            "smooth_nm": [16.0, 16.0, 30.0],
            "origin_nm": [0.0, 0.0, 0.0],
        }
    },
    "notes": [f"{HOSTILE}: looks like a mask"],
    "refused": [{"id": "v-7", "volume": "v", "label": 7, "why": f"too large {HOSTILE}"}],
}


def octahedron(radius_nm: float, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Mesh:
    axes = radius_nm * np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1.0]])
    upper = [[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4]]
    faces = np.array([*upper, *([b, a, 5] for a, b, _ in upper)], np.int64)
    return Mesh(axes + np.array([x, y, z]), faces)


def ball(id: str, radius_nm: float) -> Shape:
    step = radius_nm / 6
    at = (np.arange(17) - 8) * step
    x, y, z = np.meshgrid(at, at, at, indexing="ij")
    field = SampledField(np.sqrt(x**2 + y**2 + z**2) - radius_nm, np.full(3, at[0]), np.full(3, step))
    return Shape(id, implicit=field.implicit(), fold="one")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """Three whole balls with fields, and a cut octahedron without."""
    folder = tmp_path_factory.mktemp("page") / "library"
    shapes = [ball("a", 150.0), ball("b", 250.0), ball(f"c{HOSTILE}", 600.0), Shape("d", octahedron(500), fold="two")]
    lengths, weights, cut = (1000.0, 2000.0, 4000.0, 9000.0), (1.0, 1.5, 4.0, None), (False, False, False, True)
    fields = {
        shape.id: {"length_nm": length, "inclusion_weight": weight, "touches_border": border, "branches": 2}
        for shape, length, weight, border in zip(shapes, lengths, weights, cut, strict=True)
    }
    write_library(folder, shapes, META, fields=fields)
    return open_library(folder)


@pytest.fixture(scope="module")
def text(library: Library) -> str:
    return library_page(library)


class Page(HTMLParser):
    """Collects tags, the cells of tables row by row, the first numbers and the captions of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self._open.append(tag)
            self.texts.setdefault(tag, []).append("")
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts[self._open[-1]][-1] += data
        if {"td", "th"} & set(self._open):
            self.rows[-1][-1] += data

    def row(self, first: str) -> list[str]:
        return next(row[1:] for row in self.rows if row[0] == first)

    def pictures(self) -> Iterator[Image.Image]:
        for tag, given in self.tags:
            if tag == "img":
                head, _, data = (given["src"] or "").partition(",")
                assert head == "data:image/png;base64"
                yield Image.open(io.BytesIO(base64.b64decode(data)))


def test_numbers_are_those_of_the_index(library: Library, text: str) -> None:
    page = Page(text)
    assert page.row("length of the centre line, µm") == ["4", "1", "3", "9", "4"]
    assert page.row("branches") == ["4", "2", "2", "2", "2"]
    volumes = sorted(entry.volume_nm3 / 1e9 for entry in library)
    shown = [float(cell) for cell in page.row("volume, µm³")]
    # Weights 1, 1.5 and 4: more than half is the largest ball's; the octahedron is cut and has none.
    expected = [4, volumes[0], (volumes[1] + volumes[2]) / 2, volumes[3], library[f"c{HOSTILE}"].volume_nm3 / 1e9]
    assert shown == pytest.approx(expected, rel=5e-3)
    # 4/3 pi r^3 of a radius of 600 nm, meshed at 100 nm.
    assert shown[-1] == pytest.approx(4 / 3 * np.pi * 0.6**3, rel=0.03)
    # Measures that the index does not have are left out.
    assert "thickness, nm" not in [row[0] for row in page.rows]


def test_first_numbers(library: Library, text: str) -> None:
    facts = dict(reversed(pair) for pair in re.findall(r"<div><b>([^<]*)</b>([^<]*)</div>", text))
    scales = sorted(entry.scale_nm / 1000 for entry in library)
    low, high = map(float, facts.pop("longest edge, µm").split(" to "))
    assert (low, high) == pytest.approx((scales[0], scales[-1]), rel=5e-3)
    assert facts == {"shapes": "4", "whole": "3 of 4", "folds": "2", "refused": "1"}


def test_origin_volumes_folds_and_refusals(text: str) -> None:
    page = Page(text)
    assert page.row("licence") == ["CC-BY-4.0"]
    assert page.row("citation") == ["https://doi.org/10.0/none"]
    assert page.row(HOSTILE) == ["64 x 32 x 16", "8 x 8 x 30", "16 x 16 x 30", "16 x 16 x 30"]
    assert page.row("v-7") == [f"too large {HOSTILE}"]
    assert page.row("one") == ["3", "3 of 3"]
    assert page.row("two") == ["1", "0 of 1"]
    assert f"Note: {HOSTILE}: looks like a mask." in page.texts["p"]
    assert page.texts["h1"] == [f"lib & {HOSTILE}"]


def test_page_stands_alone_and_escapes(text: str) -> None:
    page = Page(text)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert HOSTILE not in text
    assert "url(" not in text
    assert {tag for tag, given in page.tags if "href" in given} == {"a"}
    assert all((given["src"] or "").startswith("data:image/png;base64,") for _, given in page.tags if "src" in given)
    assert "prefers-color-scheme: dark" in text


def test_pictures_are_of_the_sizes_promised(library: Library, text: str) -> None:
    page = Page(text)
    sizes = [picture.size for picture in page.pictures()]
    planes = [len(planes_of(entry.shape())[0]) for entry in library]
    # Planes at multiples of 192 nm within a radius of 150, 250, 600 and 500 nm.
    assert planes == [1, 3, 7, 5]
    assert sizes == [(220, 220)] * 4 + [(548, 180)] * sum(planes)
    captions = page.texts["figcaption"]
    assert captions[0] == f"c{HOSTILE}: longest edge {library[f'c{HOSTILE}'].scale_nm:,.0f} nm"
    assert captions[1] == "d: longest edge 1,000 nm, cut by the border"
    assert captions[4:6] == [f"z = {z} nm: section, surface, light" for z in (-576, -384)]


def test_page_is_the_same_each_time_and_changes_no_shape(library: Library, text: str) -> None:
    source = EmMesh(library=str(library.folder))
    before, keys = source.content_hash(), source.keys()
    path = write_library_page(library)
    assert path == library.folder / "library.html"
    assert path.read_text(encoding="utf-8") == text
    again = EmMesh(library=str(library.folder))
    assert (again.content_hash(), again.keys()) == (before, keys)
    assert [entry.id for entry in open_library(library.folder)] == [entry.id for entry in library]


def test_large_libraries_are_shown_by_a_choice(tmp_path: Path) -> None:
    shapes = [Shape(f"{number:02}", octahedron(100.0 + number)) for number in range(40)]
    refused = [{"id": f"v-{number}", "why": "small"} for number in range(103)]
    write_library(tmp_path / "many", shapes, {**META, "volumes": {}, "refused": refused})
    page = Page(library_page(open_library(tmp_path / "many")))
    captions = page.texts["figcaption"]
    assert len(captions) == 24 + 6
    assert captions[0].startswith("39: longest edge 278 nm")
    assert captions[23].startswith("00: longest edge 200 nm")
    assert page.row("and 3 more") == [""]
    assert page.row("none: each its own") == ["40", "not known"]
    assert any("6 of 40 shapes, evenly by size" in text for text in page.texts["p"])
    assert any("Every shape counts once" in text for text in page.texts["p"])


def test_at_most_ten_planes_are_shown() -> None:
    shown, every = planes_of(Shape("long", octahedron(2000)))
    assert (len(shown), every) == (10, 21)
    assert (shown[0], shown[-1]) == (-1920, 1920)
    # A sheet between two of the planes is cut in its middle.
    assert planes_of(Shape("thin", octahedron(50, z=90)))[0] == pytest.approx([90])


def test_scale_bar_is_as_long_as_it_says() -> None:
    picture = surface_picture(Shape("o", octahedron(500)))
    # 1000 nm and 15 % of it on either side on 220 px; 200 nm is the longest round length within 20 % of that.
    black = (picture[-11] == 0).all(axis=-1)
    right = int(np.flatnonzero(black)[-1])
    bar = right - int(np.flatnonzero(~black[:right])[-1])
    assert bar == round(200 / (1300 / 220))


@pytest.mark.parametrize(
    ("values", "weights", "median"),
    [([1, 2, 3], [1, 1, 1], 2), ([4, 1, 2, 3], [1, 1, 1, 1], 2.5), ([1, 2, 3], [1, 1, 3], 3), ([5], [2], 5)],
)
def test_weighted_median(values: list[float], weights: list[float], median: float) -> None:
    found = Values(Measure("x", "x"), np.array(values, float), np.array(weights, float))
    assert found.median == median


def test_histogram_counts_weights() -> None:
    plot = histogram("t", [1, 1, 2], "u", weights=[3.0, 1.5, 2.25])
    assert ">4.5</text>" in plot
    heights = [float(height) for height in re.findall(r'height="([\d.]+)"/>', plot)]
    assert heights[1] / heights[0] == pytest.approx(0.5, abs=1e-3)


def parts(picture: Picture, count: int) -> list[Picture]:
    """Return the squares of a row."""
    side = len(picture)
    assert picture.shape[1] == side * count + 4 * (count - 1)
    return [picture[:, number * (side + 4) :][:, :side] for number in range(count)]


def overlap(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    return float((a & b).sum() / (a | b).sum())


def sections_of(tmp_path: Path, shape: Shape, planes: list[float]) -> Sections:
    write_library(tmp_path / "one", [shape], META)
    entry = open_library(tmp_path / "one")[shape.id]
    return Sections(entry, entry.shape(), np.array(planes))


def test_section_surface_and_light_lie_on_each_other(tmp_path: Path) -> None:
    # An L: no mirror image or turn of it lies on itself.
    corner = joined([octahedron(400), octahedron(400, x=900), octahedron(400, x=1800), octahedron(400, y=900)])
    (row,) = sections_of(tmp_path, Shape("L", corner), [0.0]).rows()
    filled, surface, light = parts(row, 3)
    inside = (filled == np.array(CYAN)).all(axis=-1)
    solid, bright = surface[..., 0].astype(int) < 240, light[..., 0] > 90
    # The section through the middle is the silhouette: all of it but for pixels of the rim.
    assert overlap(inside, solid) > 0.93
    straight = overlap(inside, bright)
    assert straight > 0.6
    for other in (bright[::-1], bright[:, ::-1], bright[::-1, ::-1], bright.T):
        assert overlap(inside, other) < straight - 0.15


def test_light_is_brightest_in_its_own_plane(tmp_path: Path) -> None:
    pair = joined([octahedron(150, z=-768), octahedron(150, x=1500, z=768)])
    rows = sections_of(tmp_path, Shape("pair", pair), [-768.0, 768.0]).rows()
    for row, left in zip(rows, (True, False), strict=True):
        filled, surface, light = parts(row, 3)
        half = light.shape[1] // 2
        first, last = (int(side.max()) for side in (light[:, :half], light[:, half:]))
        assert (first > 1.5 * last) == left
        assert (last > 1.5 * first) != left
        orange = surface[..., 0].astype(int) > 2 * surface[..., 2].astype(int) + 20
        cyan = (filled == np.array(CYAN)).all(axis=-1)
        for marked in (orange, cyan):
            assert marked[:, :half].any() == left
            assert marked[:, half:].any() != left


def test_raw_sections_are_cut_where_the_labels_lie() -> None:
    x, y, z = np.meshgrid(np.arange(6), np.arange(5), np.arange(4), indexing="ij")
    raw = ArrayVolume("raw", 100 * z + 10 * y + x, "xyz")
    cut, box = section(raw, np.array([1.5, 0.5, 2.2]), np.array([3.5, 2.5, 2.2]))
    np.testing.assert_array_equal(cut, 200 + 10 * np.array([[1], [2]]) + np.array([2, 3]))
    # Voxel 2 reaches from 1.5 to 2.5.
    assert box == (0.0, 0.0, 2.0, 2.0)
    cut, box = section(raw, np.array([-1.0, 3.0, 3.4]), np.array([1.0, 5.0, 3.4]))
    np.testing.assert_array_equal(cut, [[np.nan, 330, 331], [np.nan, 340, 341], [np.nan] * 3])
    assert box == (0.5, 0.5, 2.5, 2.5)
    cut, _ = section(raw, np.array([1.0, 1.0, 4.0]), np.array([2.0, 2.0, 4.0]))
    assert np.isnan(cut).all()


def label_volume(folder: Path) -> tuple[Path, Path]:
    """Write a labelled ellipsoid off the middle, and raw images that are dark in it."""
    z, y, x = np.meshgrid(np.arange(24), np.arange(40), np.arange(48), indexing="ij")
    solid = ((x - 30) / 11) ** 2 + ((y - 14) / 7) ** 2 + ((z - 12) / 8) ** 2 < 1
    labels, raw = folder / "cell.npy", folder / "raw.npy"
    np.save(labels, solid.astype(np.uint16))
    np.save(raw, np.where(solid, 60, 200).astype(np.uint8))
    return labels, raw


def test_raw_images_beside_their_labels(tmp_path: Path, run: Run) -> None:
    pytest.importorskip("cc3d")
    labels, raw = label_volume(tmp_path)
    given = ["prepare", str(labels), "--voxel", "20,20,30", "-o", str(tmp_path / "lib"), "--workers", "1"]
    code, out, err = run(*given, "--raw", str(raw))
    assert (code, out) == (0, f"1 shape(s) in {tmp_path / 'lib'}\n"), err
    page = Page((tmp_path / "lib" / "library.html").read_text(encoding="utf-8"))
    first, *rows = page.pictures()
    assert first.size == (220, 220)
    assert [row.size for row in rows] == [(548, 134)] * len(rows)
    assert page.texts["figcaption"][1].endswith("nm: section, raw image, surface, light")
    middle = np.asarray(rows[len(rows) // 2])
    filled, image, _, _ = parts(middle, 4)
    inside = (filled == np.array(CYAN)).all(axis=-1)
    marked = (image == np.array(CYAN)).all(axis=-1)
    assert marked.any()
    # Black is both the ellipsoid, and what lies outside of the volume.
    dark = (image.max(axis=-1) < 128) | marked
    box = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    near = np.s_[box[0][0] - 4 : box[0][-1] + 5, box[1][0] - 4 : box[1][-1] + 5]
    assert overlap(inside[near], dark[near]) > 0.9


def test_raw_volumes_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    labels, raw = label_volume(tmp_path)
    with (
        pytest.raises(VolumeError, match=r"^raw: 2 given for 1 label volumes: give one for each, in their order$"),
        opened_raws([labels], [raw, raw]),
    ):
        pass
    np.save(raw, np.zeros((24, 40, 47), np.uint8))
    with (
        pytest.raises(VolumeError, match=r"has 47 x 40 x 24 voxels, its labels '.*cell.npy' 48 x 40 x 24: they must"),
        opened_raws([labels], [raw]),
    ):
        pass
    with opened_raws([labels], []) as none:
        assert none == {}
