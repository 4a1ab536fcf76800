"""The version of the project, for pyproject.toml and everything else."""

__version__ = "1.0.0"
