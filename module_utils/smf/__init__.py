"""Modules for the service management facility of SmartOS."""
