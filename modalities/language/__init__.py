"""Text before a network reads it: one spelling, one vocabulary, n-grams."""
