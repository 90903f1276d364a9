"""One thread in processes of their own, whichever library makes threads there."""

THREADS = ("OMP", "OPENBLAS", "MKL", "NUMBA", "VECLIB_MAXIMUM", "NUMEXPR")
ENVIRONMENT = {f"{library}_NUM_THREADS": "1" for library in THREADS}
