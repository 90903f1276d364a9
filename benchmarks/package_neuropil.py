"""Make the packaged library `neuropil` from the source meshes: ``python -m benchmarks.package_neuropil``.

Reads ``$MISHAPE_DATA/neuropil_mito/*.off`` and rewrites mishape/plugins/shapes/libraries/neuropil/; equal input gives
equal bytes.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from mishape.engine import geometry
from mishape.engine.library_writing import write_library
from mishape.engine.types import Shape
from mishape.plugins.shapes.em_mesh import read_mesh

TARGET = Path(__file__).parents[1] / "mishape/plugins/shapes/libraries/neuropil"
REPOSITORY = "https://github.com/RangamaniLabUCSD/spatial_mito_model"
COMMIT = "cee1b81"
CITATION = (
    "Garcia et al. 2023, J Gen Physiol 155(9), doi:10.1085/jgp.202213263; "
    "Mendelsohn et al. 2021, J Comp Neurol, doi:10.1002/cne.25254"
)
NOTICE = f"""The five meshes in this folder are licensed under the Creative Commons Attribution 4.0 International
licence (CC BY 4.0), https://creativecommons.org/licenses/by/4.0/legalcode. The rest of mishape is under another.

Attribution: the authors of {REPOSITORY}
Source:      {REPOSITORY}, commit {COMMIT},
             object outer_membrane_final of spatial_sims/mitoNN/Scene.geometry.mdl (NN = 01, 04, 09, 10, 11)
Citation:    {CITATION}

Changes made: converted from MCell MDL to arrays; unit changed from micrometre to nanometre; each mesh shifted so that
its solid's centroid is the origin; faces turned to look outwards where they did not; vertices rounded to float32
(below 0.0001 nm). The faces are the authors' own.

No warranty is given; the authors do not endorse mishape or its use.
"""


def source_shapes(folder: Path) -> list[Shape]:
    """Return the shapes of the source meshes, centred, nm, in the order of their names."""
    source = f"{REPOSITORY}@{COMMIT}"
    return [
        Shape(
            path.name.split("_")[0],
            geometry.centered(read_mesh(path, unit_nm=1000.0)),
            source=source,
            licence="CC-BY-4.0",
        )
        for path in sorted(folder.glob("*_outer_um.off"))
    ]


def main() -> None:
    """Write the library and its LICENSE, keeping the package's ``__init__.py``."""
    if "MISHAPE_DATA" not in os.environ:
        sys.exit("set MISHAPE_DATA to the folder that holds neuropil_mito/")
    shapes = source_shapes(Path(os.environ["MISHAPE_DATA"]) / "neuropil_mito")
    meta = {
        "name": "neuropil",
        "description": "outer membranes of presynaptic and neuropil mitochondria, electron tomography",
        "source": f"{REPOSITORY}@{COMMIT}",
        "licence": "CC-BY-4.0",
        "citation": CITATION,
    }
    with tempfile.TemporaryDirectory() as scratch:
        write_library(Path(scratch) / "neuropil", shapes, meta)
        shutil.copytree(Path(scratch) / "neuropil", TARGET, dirs_exist_ok=True)
    (TARGET / "LICENSE").write_text(NOTICE, encoding="utf-8")
    print(f"{len(shapes)} meshes in {TARGET}")


if __name__ == "__main__":
    main()
