"""Configuration: one pydantic model, and the YAML files that fill it."""
