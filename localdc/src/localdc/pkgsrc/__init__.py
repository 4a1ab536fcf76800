"""The package repository of the embedded data center, made from the package index's wheels."""

from localdc.pkgsrc.store import Store, StoreError, build_store

__all__ = ["Store", "StoreError", "build_store"]
