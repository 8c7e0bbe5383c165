"""Distillation: what a large teacher knows, put into our small experts."""
