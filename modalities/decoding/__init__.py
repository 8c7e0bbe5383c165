"""Untrusted bytes into pictures, sound and words: under limits, and in a process of its own."""
