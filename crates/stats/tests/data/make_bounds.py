#!/usr/bin/env python3
"""Makes upper_share.tsv: one-sided upper bounds of a share by another library, for `stats::bound`.

    python3 -m venv /tmp/oracle && /tmp/oracle/bin/pip install scipy
    /tmp/oracle/bin/python make_bounds.py > upper_share.tsv

Clopper & Pearson 1934: the bound is the quantile of a Beta(different + 1, pairs - different) distribution.
"""
from scipy.stats import beta, binom

print("different\tpairs\tconfidence\tupper")
for pairs in [1, 2, 10, 59, 60, 299, 1000, 2000, 2994, 2995, 2996, 10_000, 1_000_000]:
    for different in sorted({0, 1, 2, 11, 140, pairs // 3, pairs - 1} & set(range(pairs))):
        for confidence in [0.5, 0.9, 0.95, 0.99, 0.9999]:
            upper = beta.ppf(confidence, different + 1, pairs - different)
            tail = binom.cdf(different, pairs, upper)
            assert abs(tail / (1 - confidence) - 1) < 1e-6, (different, pairs, confidence, tail)
            print(f"{different}\t{pairs}\t{confidence}\t{upper:.12e}")
