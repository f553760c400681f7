"""Finding redundancy in data: pure functions on Arrow buffers and numba kernels; no torch."""
