"""05 Image and mask pairs for 2D segmentation.

python examples/05_segmentation_pairs.py [FOLDER [SAMPLES]]
"""

import sys
from pathlib import Path

import mishape


def main(out: str = "out/05", samples: int = 8) -> None:
    dataset = mishape.generate(Path(__file__).with_suffix(".yaml"), out, samples=samples)
    for item in dataset:
        image, mask = item["epi.image"][0], item["epi.masks_2d"][0]
        background = image[mask == 0].mean()
        print(
            f"{item.record['index']}: {image.shape}, {mask.mean():.1%} foreground, background {background:.0f} counts"
        )


if __name__ == "__main__":
    main(*sys.argv[1:2], *(int(argument) for argument in sys.argv[2:3]))
