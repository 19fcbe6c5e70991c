//! Sequential tests that hold at any look.
//!
//! A rollout looks at its counts every second, for hours, and acts on what it sees. A test made for one look is then
//! wrong: 23 looks raise a false-alarm rate of 0.25 % to 2 %. The tests here give an *e-value*: a number that, while
//! the null hypothesis holds, has expectation at most 1 at any stopping time. By Ville's inequality the
//! probability that it *ever* reaches 1/alpha is at most alpha. And e-values of consecutive
//! experiments multiply to an e-value. All of them are given as natural logarithms.
//!
//! # The count test ([`CountTest`])
//!
//! Two arms fail at some rate per request. Of all failures in both arms, let `worse` be the candidate's and `other`
//! the active's; let rho be the candidate's share of exposure (its requests over those of both arms), constant while
//! the test runs. Given that a failure happens, it is the candidate's with some probability theta, and the null
//! hypothesis *the candidate is not worse* says theta <= rho, for every failure, whatever the rate and however it
//! changes with time.
//!
//! *The factor.* Against one alternative theta > rho, a failure in the candidate multiplies the evidence by
//! theta/rho, one in the active by (1-theta)/(1-rho). The test averages the product over theta from a
//! Beta(k rho, k (1-rho)) distribution truncated to (rho, 1):
//!
//! ```text
//!          B(k rho + worse, k (1-rho) + other)      Q(k rho + worse, k (1-rho) + other)
//!    e  =  -----------------------------------  x  -------------------------------------
//!          B(k rho, k (1-rho)) rho^worse (1-rho)^other        Q(k rho, k (1-rho))
//! ```
//!
//! with Q(a, b) = 1 - I_rho(a, b), the mass above rho. The first quotient is the Bayes factor of Lindon & Malek
//! (NeurIPS 2022, arXiv 2011.03567), here [`CountTest::ln_two_sided`]; the second is what the truncation adds.
//!
//! *Why e is an e-value under the whole null.* Let the next failure be the candidate's with probability p <= rho, given
//! all that came before. For a fixed theta > rho its expected factor is
//! p theta/rho + (1-p)(1-theta)/(1-rho). That is linear in p, increasing since theta/rho > 1 > (1-theta)/(1-rho), and
//! 1 at p = rho; so it is at most 1, and the product over failures is a nonnegative supermartingale that starts
//! at 1. An average of such, with weights fixed beforehand, is one too. Ville's inequality does the rest. The two-sided factor
//! has no such property: for theta < rho the expectation exceeds 1 when p < rho, which is why it also alarms when the
//! *active* is worse. ∎
//!
//! *What is assumed.* Failures of different requests are independent given the rates; that is why the unit is a request and
//! not a span, and why requests are not merged. Rare failures are taken as Poisson; for frequent ones the share of
//! the candidate varies less than the binomial says (sampling without replacement, Hoeffding 1963), which only lowers e. And
//! rho is the observed share of requests: its sampling error shifts ln e by about the failure rate, which is below any
//! threshold, as long as the true share is constant. Hence one test for each part of a step with one share, and a product over them.
//!
//! # The latency limit ([`latency`])
//!
//! *The candidate's q-quantile is at most the active's, a tolerance added.* The same factor, with the candidate's requests above a
//! limit as `worse` and those below as `other`, and rho = 1 - q: the null says that at most a share 1 - q lies above. The limit
//! comes from an upper confidence bound of the active's quantile that holds at any look, from the same factor turned around
//! (rho = q, requests at or below the bound). Since e grows with `worse`, a limit that is too high only lowers it: if the
//! bound holds, and it does at all looks with probability 1 - alpha', the false alarms are at most those of the fixed true limit.
//!
//! # The bound of a share ([`bound`](mod@bound))
//!
//! For samples of a size that was fixed beforehand, and looked at once, such as the pairs of traces that two environments are compared by.
//!
//! | module | holds |
//! |---|---|
//! | [`bound`](mod@bound) | the upper bound of a share after a sample of fixed size: how much may differ, and how many pairs that takes |
//! | [`count`] | [`CountTest`] |
//! | [`latency`] | histogram quantiles compared, valid at any look |
//! | [`stake`] | e-values carried over consecutive experiments |
//! | `special` | ln of the incomplete beta function, in both tails |
//!
//! It is *not* a metrics library: it holds no samples, and knows neither requests nor rollouts.

pub mod bound;
pub mod count;
pub mod latency;
mod special;
pub mod stake;

pub use bound::{Confidence, pairs_needed, upper_share};
pub use count::CountTest;
pub use latency::{LatencyLimit, LatencyLook, quantile_bucket};
pub use stake::staked;
