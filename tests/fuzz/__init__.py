"""A mutation fuzzer for what reads hostile bytes: ``python -m tests.fuzz --minutes 20 --seed 1 --corpus DIR``.

Kernels are compiled without checks of array bounds, so a wrong index reads silently past the end. Here they run with checks, in a worker
process that may crash, hang or swell; a supervisor keeps the input that did it. The n-th input of a seed and corpus is always the same.
"""
