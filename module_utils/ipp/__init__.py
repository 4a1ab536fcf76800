"""Modules for ipyparallel."""
