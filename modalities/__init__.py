"""Experts, one for each modality, and what they look through: decoders, encoders, the RWKV-7 engine."""
