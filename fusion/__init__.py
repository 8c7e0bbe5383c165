"""Deciders that combine the experts' probabilities or features."""
