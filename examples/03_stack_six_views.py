"""03 Make a dataset of stacks, and read it back.

python examples/03_stack_six_views.py [FOLDER [SAMPLES]]
"""

import sys
from pathlib import Path

import mishape


def main(out: str = "out/03", samples: int | None = None) -> None:
    dataset = mishape.generate(Path(__file__).with_suffix(".yaml"), out, samples=samples)

    for item in dataset:
        stack, shape_id = item["epi.image"], item.record["objects"][0]["shape_id"]
        print(item.record["index"], item.record["split"], shape_id, stack.shape, f"peak {stack.max()}")

    # Occupancy is kept once per shape, in the shape's own frame; the pose brings it to the camera's.
    pose = dataset[0].record["objects"][0]
    library = dataset.libraries()[pose["library"]]
    points = library[pose["shape_id"]].array("occupancy_points")
    print(f"{pose['shape_id']}: {len(points)} points, rotation {pose['rotation']}")


if __name__ == "__main__":
    main(*sys.argv[1:2], *(int(argument) for argument in sys.argv[2:3]))
