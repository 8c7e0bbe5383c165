"""Evidence and pre-logits computed once, kept, and read by fusion, ablation and replay."""
