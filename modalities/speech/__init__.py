"""Ears: voice detection and transcription."""
