"""08 A field of generated mitochondria as dataset and picture.

python examples/08_generated_field.py [FOLDER]
"""

import sys
from pathlib import Path

import mishape

out = Path(sys.argv[1] if len(sys.argv) > 1 else "generated-field")
dataset = mishape.generate(Path(__file__).with_suffix(".yaml"), out)
for item in dataset:
    things = item.record["objects"]
    print(f"sample {item.record['index']}: {len(things)} mitochondria, {things[0]['source']}, {things[0]['licence']}")
print(f"pictures: {out / 'report.html'}")
