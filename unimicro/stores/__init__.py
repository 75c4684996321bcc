"""Stores of what processes share: each implements one or more ports of the pipeline."""
