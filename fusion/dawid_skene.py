"""Dawid & Skene (1979, doi:10.2307/2346806): each expert's confusion matrix, by expectation and maximisation.

Ballots only. Labelled rows fix their class; rows without a label take part with what the
others' ballots say of them. The classes are ordered in two places: a matrix is smoothed with
pseudo-counts that fall with the distance from the diagonal, and the severity is that of least
expected cost under the posterior, not its mode.

Legend:  N = items, E = experts, K = labels.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from capitoline.fusion.fitted import Frame, Tensors, frame_of, least_cost, rows_to_fit
from capitoline.fusion.options import Options
from capitoline.modalities.ballots import SILENT, Severities, ballots_of, shares_of, totals_of
from capitoline.modalities.decisions import Decisions
from capitoline.modalities.feature_set import UNKNOWN, FeatureSet

Array = npt.NDArray[np.float64]

SMOOTHING = 1.0
"""Pseudo-counts on the diagonal of every matrix; each level of distance has a quarter of the one before."""

ITERATIONS = 100
TOLERANCE = 1e-6
"""Greatest change of a posterior at which the iteration ends."""


class DawidSkene:
    """The posterior of the class given the ballots."""

    name = "fusion:dawid_skene"

    def __init__(self, frame: Frame, tensors: Tensors) -> None:
        """`tensors`: `priors` (K,) and `confusions` (E, K true, K voted)."""
        self.frame, self.tensors = frame, tensors

    def decide(self, features: FeatureSet) -> Decisions:
        self.frame.check(features)
        places = [self.frame.names.index(expert.name) for expert in features.experts]
        ballots = ballots_of(features)
        probabilities = posteriors(ballots, self.tensors["priors"], self.tensors["confusions"][places])
        return least_cost(probabilities, np.asarray(ballots != SILENT), self.frame.down_cost)


def fit(features: FeatureSet, options: Options) -> DawidSkene:
    """Fit on rows that no expert has seen; unlabelled ones help. Raises ValueError as `rows_to_fit`."""
    rows_to_fit(features)
    labels = len(features.labels)
    priors, confusions = expectation_maximisation(ballots_of(features), features.truth, smoothing(labels))
    tensors = {"priors": priors.astype(np.float32), "confusions": confusions.astype(np.float32)}
    return DawidSkene(frame_of(features, options.down_cost), tensors)


def smoothing(labels: int) -> Array:
    """(K, K) pseudo-counts by distance from the diagonal."""
    place = np.arange(labels)
    return np.asarray(SMOOTHING * 0.25 ** np.abs(place[:, None] - place), np.float64)


def expectation_maximisation(ballots: Severities, truth: Severities, pseudo_counts: Array) -> tuple[Array, Array]:
    """Priors (K,) and confusion matrices (E, K, K) of ballots (N, E), where (N,) `truth` may be `UNKNOWN`.

    Items without a ballot say nothing and are ignored.
    """
    labels = len(pseudo_counts)
    voted = (ballots != SILENT).any(axis=1)
    ballots, truth = ballots[voted], truth[voted]
    known = truth != UNKNOWN
    classes = shares_of(totals_of(ballots, [1.0] * ballots.shape[1], labels)).astype(np.float64)
    classes[known] = np.eye(labels)[truth[known]]
    priors, confusions = _maximise(ballots, classes, pseudo_counts)
    for _ in range(ITERATIONS - 1):
        believed = posteriors(ballots, priors, confusions)
        believed[known] = classes[known]
        change, classes = np.abs(believed - classes).max(), believed
        priors, confusions = _maximise(ballots, classes, pseudo_counts)
        if change < TOLERANCE:
            break
    return priors, confusions


def posteriors(ballots: Severities, priors: npt.NDArray[np.floating], confusions: npt.NDArray[np.floating]) -> Array:
    """(N, K) probabilities of the classes given ballots (N, E); the priors where nobody voted."""
    tiny = np.finfo(np.float64).tiny
    likelihood = np.tile(np.log(np.maximum(priors.astype(np.float64), tiny)), (len(ballots), 1))
    for column, confusion in zip(ballots.T, confusions, strict=True):
        voted = column != SILENT
        likelihood[voted] += np.log(np.maximum(confusion.astype(np.float64), tiny))[:, column[voted]].T
    joint = np.exp(likelihood - likelihood.max(axis=1, keepdims=True))
    return np.asarray(joint / joint.sum(axis=1, keepdims=True))


def _maximise(ballots: Severities, classes: Array, pseudo_counts: Array) -> tuple[Array, Array]:
    labels = len(pseudo_counts)
    counts = [classes[column != SILENT].T @ np.eye(labels)[column[column != SILENT]] for column in ballots.T]
    smoothed = np.stack(counts) + pseudo_counts
    totals = np.maximum(smoothed.sum(axis=2, keepdims=True), np.finfo(np.float64).tiny)
    # A class that no row had keeps a fraction of a row, so that ballots for it can still win.
    priors = classes.sum(axis=0) + pseudo_counts.diagonal() / labels
    return priors / priors.sum(), smoothed / totals
