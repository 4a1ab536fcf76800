"""Metadata inside a zone: the `mdata-*` commands and the services of `smartdc/mdata`."""
