"""Policies, stages and the two drivers that run them."""
