#!/usr/bin/env python3
"""Makes count_test.tsv: values of the count test that no line of this crate's code was used for.

    python3 -m venv /tmp/oracle && /tmp/oracle/bin/pip install mpmath==1.4.1
    /tmp/oracle/bin/python make_oracle.py > count_test.tsv

At 40 digits. The incomplete beta function is summed from its power series (DLMF 8.17.8), all of whose terms are positive; small
rows are also integrated numerically over the (truncated) prior, and must agree to 15 digits. The two-sided column is the Bayes
factor of Lindon & Malek (arXiv 2011.03567) for two categories.
"""
from mpmath import mp, mpf, beta, log, exp, log1p, quad, linspace

mp.dps = 40


def log_lower(a, b, x):
    """ln I_x(a, b) = ln of x^a (1-x)^b / (a B(a, b)) * sum of (a+b)_n / (a+1)_n x^n."""
    term = total = mpf(1)
    n = 0
    while term > total * mpf(10) ** -42:
        term *= (a + b + n) / (a + 1 + n) * x
        total += term
        n += 1
    return a * log(x) + b * log(1 - x) - log(a) - log(beta(a, b)) + log(total)


def log_upper(a, b, x):
    """ln (1 - I_x(a, b)), summed on the side where the series is short."""
    if x > a / (a + b):
        return log_lower(b, a, 1 - x)
    return log1p(-exp(log_lower(a, b, x)))


def closed(rho, k, s, r):
    a, b = k * rho, k * (1 - rho)
    two = log(beta(a + s, b + r)) - log(beta(a, b)) - s * log(rho) - r * log(1 - rho)
    return two, two + log_upper(a + s, b + r, rho) - log_upper(a, b, rho)


def integral(rho, k, s, r):
    """One-sided: the mean over theta > rho of (theta/rho)^s ((1-theta)/(1-rho))^r under the prior."""
    a, b = k * rho, k * (1 - rho)
    # theta = 1 - (1-rho) v^(1/b) takes the singularity of the prior at 1 away.
    def theta(v):
        return 1 - (1 - rho) * v ** (1 / b)

    def weight(v):
        return theta(v) ** (a - 1)

    def ratio(v):
        t = theta(v)
        return (t / rho) ** s * ((1 - t) / (1 - rho)) ** r

    cuts = [mpf(0)] + [mpf(10) ** -e for e in (12, 6, 3, 2, 1)] + linspace(mpf("0.2"), 1, 9)
    top = quad(lambda v: weight(v) * ratio(v), cuts)
    bottom = quad(weight, cuts)
    return log(top / bottom)


rhos = ["0.5", "0.2", "0.05", "0.01", "0.9", "0.0001"]
ks = ["1", "4"]
counts = [(0, 0), (1, 0), (0, 1), (2, 0), (5, 0), (8, 12), (8, 0), (3, 7), (10, 10), (40, 20), (100, 400), (0, 50), (50, 1000)]
far = [(0, 100000), (100000, 0), (5000, 5000), (1000000, 1000000)]

print("rho\tk\tworse\tother\tln_two_sided\tln_one_sided")
for rho in rhos:
    for k in ks:
        for s, r in counts + far:
            two, one = closed(mpf(rho), mpf(k), s, r)
            if s + r <= 8 and k == "1" and rho in ("0.5", "0.2", "0.9"):
                again = integral(mpf(rho), mpf(k), s, r)
                assert abs(one - again) < mpf(10) ** -15 * max(1, abs(one)), (rho, k, s, r, one, again)
            print(f"{rho}\t{k}\t{s}\t{r}\t{mp.nstr(two, 20)}\t{mp.nstr(one, 20)}")
