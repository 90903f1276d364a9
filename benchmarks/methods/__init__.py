"""Methods of segmentation that tables compare with ours, written anew from their publications.

For benchmarks alone: no part of the package imports them, and no number of theirs is one of the original programs.
"""

from __future__ import annotations

from benchmarks.methods.kanezaki import Kanezaki, KanezakiOracle
from benchmarks.methods.method import Image, Learner, Mask, Method, Oracle, Pairs, Sees, Segmenter
from benchmarks.methods.mitograph import MitoGraph
from benchmarks.methods.mitometer import Mitometer
from benchmarks.methods.mitosegnet import MitoSegNet
from benchmarks.methods.otsu import Otsu
from benchmarks.methods.weka import Weka

__all__ = ["METHODS", "Image", "Learner", "Mask", "Method", "Oracle", "Pairs", "Sees", "Segmenter", "segmented"]

METHODS: dict[str, Method] = {
    "otsu": Otsu(),
    "mitograph": MitoGraph(),
    "mitometer": Mitometer(),
    "weka": Weka(),
    "kanezaki-brighter": Kanezaki(),
    "kanezaki-oracle": KanezakiOracle(),
    "mitosegnet": MitoSegNet(),
}
"""All methods by the names that tables give them, in their order."""


def segmented(method: Method, tested: Pairs, training: Pairs, pixel_nm: float, seed: int) -> list[Mask]:
    """Return a method's masks of images, shown of the labels what it may see and no more.

    Parameters
    ----------
    tested
        Images and their true masks, (H, W) each; only an oracle is shown the masks.
    training
        Images and masks for methods that learn; one image's labels at most are read by those that see one image.
    pixel_nm
        Edge of a pixel of all of them.
    seed
        Of methods that learn; the networks of `Clustering` have one of their own.
    """
    if isinstance(method, Oracle):
        return [method.segment(image, pixel_nm, truth) for image, truth in tested]
    if isinstance(method, Learner):
        images, masks = zip(*training, strict=True) if training else ((), ())
        method = method.trained(images, masks, pixel_nm, seed)
    return [method.segment(image, pixel_nm) for image, _ in tested]
