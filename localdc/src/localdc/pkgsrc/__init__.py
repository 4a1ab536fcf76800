"""The package repository of the embedded data center, made from the package index's wheels."""
