"""01 The smallest scene, in Python: a scene is made of objects and views, and `simulate` returns everything.

python examples/01_one_tube.py
"""

import mishape

scene = mishape.Scene(
    objects=[{"shape": {"kind": "tube", "length_nm": 3000, "radius_nm": 150}, "pose": {"rotation": "flat"}}],
    views={
        "epi": {
            "grid": {"shape": [1, 64, 64], "pixel_nm": 80},
            "microscope": {"kind": "epi", "preset": "epi2"},
            "noise": {"kind": "scmos", "background": 20},
        }
    },
)
sample = mishape.simulate(scene)

print("emitters:", len(sample.emitters))
print("expected photons in the field:", round(sample.photons["epi"].sum()))
print("camera image (Z, Y, X):", sample.images["epi"].shape, sample.images["epi"].dtype)
