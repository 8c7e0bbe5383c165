"""Moved to `capitoline.modalities.feature_set`, where the voter can read it too."""

from capitoline.modalities.feature_set import UNKNOWN, ExpertFeatures, FeatureSet

__all__ = ["UNKNOWN", "ExpertFeatures", "FeatureSet"]
